import type { EventRecord } from '@novacron/contracts';

/** Everything that was committed, in the one order. */
export interface EventLog {
  /** The position of the newest event; 0 when there is none. */
  head(): Promise<number>;
  /** Up to `limit` events after a position. CURSOR_EXPIRED when the next one is past retention. */
  read(after: number, limit: number): Promise<EventRecord[]>;
  /**
   * Hands over every event after the position, in order and without a gap, until closed. A handler that
   * returns a promise is waited for. Survives the loss of Redis and PostgreSQL connections.
   */
  follow(after: number, onEvent: (event: EventRecord) => void | Promise<void>): Follower;
  close(): Promise<void>;
}

export interface Follower {
  /** The position of the last event that was handed over. */
  readonly position: number;
  close(): Promise<void>;
}
