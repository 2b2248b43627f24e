import { DomainError } from '@novacron/core';
import type { EventRecord, NewEvent } from '@novacron/contracts';
import type { EventLog, Follower } from '@novacron/events';

/** An event log that forgets when the test ends: dense positions, retention, followers that never see a gap. */
export class MemoryEventLog implements EventLog {
  readonly #events: EventRecord[] = [];
  readonly #followers = new Set<(event: EventRecord) => void>();
  /** Events up to here are past retention, and not in #events. */
  #forgotten = 0;
  /** How many times it was read: a subscription that resumes reads. */
  reads = 0;

  append(event: NewEvent): EventRecord {
    const record: EventRecord = { ...event, position: this.#head + 1, at: new Date().toISOString() };
    this.#events.push(record);
    for (const take of this.#followers) take(record);
    return record;
  }

  forgetUpTo(position: number): void {
    this.#forgotten += this.#events.splice(0, position - this.#forgotten).length;
  }

  async head(): Promise<number> {
    return this.#head;
  }

  get #head(): number {
    return this.#forgotten + this.#events.length;
  }

  async read(after: number, limit: number): Promise<EventRecord[]> {
    this.reads += 1;
    await new Promise(setImmediate); // what is appended meanwhile must not get lost
    if (after < this.#forgotten) throw new DomainError('CURSOR_EXPIRED', 'This cursor is too old.', { field: 'after' });
    return this.#events.slice(after - this.#forgotten, after - this.#forgotten + limit);
  }

  follow(after: number, onEvent: (event: EventRecord) => void | Promise<void>): Follower {
    let position = after;
    let open = true;
    let running = Promise.resolve();
    const take = (event: EventRecord) => {
      running = running.then(async () => {
        if (!open) return;
        await onEvent(event);
        position = event.position;
      });
    };
    for (const event of this.#events.slice(after - this.#forgotten)) take(event);
    this.#followers.add(take);
    return {
      get position() {
        return position;
      },
      close: async () => {
        open = false;
        this.#followers.delete(take);
        await running;
      },
    };
  }

  async close(): Promise<void> {
    this.#followers.clear();
  }
}
