export type { EventLog, Follower } from './event-log.ts';
