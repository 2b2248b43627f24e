import { DomainError } from '@novacron/core';
import type { EventRecord, NewEvent } from '@novacron/contracts';
import type { EventLog, Follower } from '@novacron/events';

/** An event log that forgets when the test ends: dense positions, retention, followers that never see a gap. */
export class MemoryEventLog implements EventLog {
  readonly #events: EventRecord[] = [];
  readonly #bells = new Set<() => void>();
  /** Events up to here are past retention. */
  #forgotten = 0;
  /** How many times it was read: a subscription that resumes reads. */
  reads = 0;

  append(event: NewEvent): EventRecord {
    const record: EventRecord = { ...event, position: this.#events.length + 1, at: new Date().toISOString() };
    this.#events.push(record);
    for (const ring of this.#bells) ring();
    return record;
  }

  forgetUpTo(position: number): void {
    this.#forgotten = position;
  }

  async head(): Promise<number> {
    return this.#events.length;
  }

  async read(after: number, limit: number): Promise<EventRecord[]> {
    this.reads += 1;
    await new Promise(setImmediate); // what is appended meanwhile must not get lost
    if (after < this.#forgotten) throw new DomainError('CURSOR_EXPIRED', 'This cursor is too old.', { field: 'after' });
    return this.#events.slice(after, after + limit);
  }

  follow(after: number, onEvent: (event: EventRecord) => void | Promise<void>): Follower {
    let position = after;
    let open = true;
    let running = Promise.resolve();
    const isOpen = () => open;
    const handOver = async () => {
      for (let next = this.#events[position]; isOpen() && next !== undefined; next = this.#events[position]) {
        await onEvent(next);
        position = next.position;
      }
    };
    const ring = () => {
      running = running.then(handOver);
    };
    this.#bells.add(ring);
    ring();
    return {
      get position() {
        return position;
      },
      close: async () => {
        open = false;
        this.#bells.delete(ring);
        await running;
      },
    };
  }

  async close(): Promise<void> {
    this.#bells.clear();
  }
}
