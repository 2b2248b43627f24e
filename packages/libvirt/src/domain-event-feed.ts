import type { DomainEventKind, DomainEventRow, DomainEvents } from './domain-event.ts';
import { DOMAIN_EVENTS } from './domain-event.ts';
import { ConnectionLost } from './errors.ts';
import { PROCEDURES } from './procedures.ts';
import type { RpcChannel } from './rpc-channel.ts';
import type { XdrReader } from './xdr.ts';

/** A listener's place among the others. */
export interface EventSubscription {
  /** Stops the calls to the listener at once; resolves when the daemon knows. Idempotent. */
  close(): Promise<void>;
}

/**
 * The daemon's domain events. The daemon is told once per kind, however many listeners there are,
 * and told again when the last one has gone.
 */
export class DomainEventFeed {
  readonly #kinds = new Map<number, KindFeed<DomainEventKind>>();
  readonly #channel: RpcChannel;

  constructor(channel: RpcChannel) {
    this.#channel = channel;
    channel.handleMessages((message, reader) => {
      const feed = this.#kinds.get(message);
      feed?.deliver(reader);
      return feed !== undefined;
    });
  }

  subscribe<Kind extends DomainEventKind>(
    kind: Kind,
    listener: (event: DomainEvents[Kind]) => void,
  ): Promise<EventSubscription> {
    const row = DOMAIN_EVENTS[kind];
    let feed = this.#kinds.get(row.message) as KindFeed<Kind> | undefined; // this number has only this kind's feed
    if (!feed) {
      feed = new KindFeed<Kind>(this.#channel, row as DomainEventRow<DomainEvents[Kind]>); // Kind indexes the table
      this.#kinds.set(row.message, feed as unknown as KindFeed<DomainEventKind>);
    }
    return feed.subscribe(listener);
  }
}

class KindFeed<Kind extends DomainEventKind> {
  readonly #channel: RpcChannel;
  readonly #row: DomainEventRow<DomainEvents[Kind]>;
  readonly #listeners = new Set<{ call: (event: DomainEvents[Kind]) => void }>();
  #callbackId: number | undefined;
  /** Registering and deregistering happen one after the other. */
  #tail: Promise<void> = Promise.resolve();

  constructor(channel: RpcChannel, row: DomainEventRow<DomainEvents[Kind]>) {
    this.#channel = channel;
    this.#row = row;
  }

  async subscribe(call: (event: DomainEvents[Kind]) => void): Promise<EventSubscription> {
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
    const args = { eventId: this.#row.eventId, dom: null };
    const { callbackId } = await this.#channel.call(PROCEDURES.domainEventRegister, args, {}, (late, { isLate }) => {
      // Its caller has given up; whether this works changes nothing for anyone.
      if (isLate) this.#deregister(late.callbackId).catch(() => undefined);
    });
    this.#callbackId = callbackId;
  }

  async #deregister(callbackId: number): Promise<void> {
    if (this.#callbackId === callbackId) this.#callbackId = undefined;
    try {
      await this.#channel.call(PROCEDURES.domainEventDeregister, { callbackId });
    } catch (error) {
      if (!(error instanceof ConnectionLost)) throw error; // the registration went with the connection
    }
  }
}
