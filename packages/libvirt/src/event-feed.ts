import type { EventRow, EventSource } from './event-row.ts';
import { ConnectionLost } from './errors.ts';
import { PROCEDURES } from './procedures.ts';
import type { RpcChannel } from './rpc-channel.ts';
import type { XdrReader } from './xdr.ts';

/** A listener's place among the others. */
export interface EventSubscription {
  /** Stops the calls to the listener at once; resolves when the daemon knows. Idempotent. */
  close(): Promise<void>;
}

/** How the daemon is asked for the events of each kind of object, and for no more of them. */
const REGISTRATION = {
  domain: { register: PROCEDURES.domainEventRegister, deregister: PROCEDURES.domainEventDeregister },
  network: { register: PROCEDURES.networkEventRegister, deregister: PROCEDURES.networkEventDeregister },
  pool: { register: PROCEDURES.poolEventRegister, deregister: PROCEDURES.poolEventDeregister },
} satisfies Record<EventSource, unknown>;

/**
 * The daemon's events. The daemon is told once per row, however many listeners there are, and told
 * again when the last one has gone.
 */
export class EventFeed {
  readonly #rows = new Map<number, RowFeed<unknown>>();
  readonly #channel: RpcChannel;

  constructor(channel: RpcChannel) {
    this.#channel = channel;
    channel.handleMessages((message, reader) => {
      const feed = this.#rows.get(message);
      feed?.deliver(reader);
      return feed !== undefined;
    });
  }

  /** Calls `listener` for each event of the row from the moment the promise resolves. */
  subscribe<E>(row: EventRow<E>, listener: (event: E) => void): Promise<EventSubscription> {
    let feed = this.#rows.get(row.message) as RowFeed<E> | undefined; // this number has only this row's feed
    if (!feed) {
      feed = new RowFeed(this.#channel, row);
      this.#rows.set(row.message, feed as RowFeed<unknown>); // see above
    }
    return feed.subscribe(listener);
  }
}

class RowFeed<E> {
  readonly #channel: RpcChannel;
  readonly #row: EventRow<E>;
  readonly #listeners = new Set<{ call: (event: E) => void }>();
  #callbackId: number | undefined;
  /** Registering and deregistering happen one after the other. */
  #tail: Promise<void> = Promise.resolve();

  constructor(channel: RpcChannel, row: EventRow<E>) {
    this.#channel = channel;
    this.#row = row;
  }

  async subscribe(call: (event: E) => void): Promise<EventSubscription> {
    const listener = { call };
    this.#listeners.add(listener);
    const close = async () => {
      if (this.#listeners.delete(listener)) await this.#settle();
    };
    try {
      await this.#settle();
    } catch (error) {
      this.#listeners.delete(listener);
      throw error;
    }
    return { close };
  }

  deliver(reader: XdrReader): void {
    const { callbackId, event } = this.#row.read(reader);
    // Events may overtake the answer to the registration. Those of another callback are left over from an earlier one.
    if (this.#callbackId !== undefined && callbackId !== this.#callbackId) return;
    for (const { call } of this.#listeners) {
      try {
        call(event);
      } catch (error) {
        queueMicrotask(() => {
          throw error; // the listener's fault is its owner's, not the connection's
        });
      }
    }
  }

  /** Makes what the daemon knows agree with whether there are listeners. */
  #settle(): Promise<void> {
    const step = this.#tail.then(async () => {
      if (this.#listeners.size > 0 && this.#callbackId === undefined) await this.#register();
      if (this.#listeners.size === 0 && this.#callbackId !== undefined) await this.#deregister(this.#callbackId);
    });
    this.#tail = step.catch(() => undefined); // whoever asked for the step has its error
    return step;
  }

  async #register(): Promise<void> {
    const args = { eventId: this.#row.eventId, only: null };
    const { register } = REGISTRATION[this.#row.source];
    const { callbackId } = await this.#channel.call(register, args, {}, (late, { isLate }) => {
      // Its caller has given up; whether this works changes nothing for anyone.
      if (isLate) this.#deregister(late.callbackId).catch(() => undefined);
    });
    this.#callbackId = callbackId;
  }

  async #deregister(callbackId: number): Promise<void> {
    if (this.#callbackId === callbackId) this.#callbackId = undefined;
    try {
      await this.#channel.call(REGISTRATION[this.#row.source].deregister, { callbackId });
    } catch (error) {
      if (!(error instanceof ConnectionLost)) throw error; // the registration went with the connection
    }
  }
}
