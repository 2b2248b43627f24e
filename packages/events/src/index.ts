export { openEventLog, type EventLog, type EventLogOptions, type Follower } from './event-log.ts';
export { startSequencer, type Sequencer, type SequencerOptions } from './sequencer.ts';
