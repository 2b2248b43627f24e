export type { HostAgent, HostAttachment } from './host-agent.ts';
