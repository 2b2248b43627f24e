import { setTimeout as wait } from 'node:timers/promises';
import type { Connection, ConnectOptions } from './connection.ts';
import { addressOf, connect } from './connection.ts';
import type { DomainEventKind, DomainEvents } from './domain-event.ts';
import type { CloseReason } from './errors.ts';
import { ConnectionLost, DeadlineExceeded } from './errors.ts';
import type { NetworkEvent, PoolEvent } from './host-event.ts';

/** What a link can listen to: the domains' events by kind, and those of networks and pools. */
export interface LinkEvents extends DomainEvents {
  network: NetworkEvent;
  pool: PoolEvent;
}

type LinkListener<E> = (event: E, connection: Connection) => void;

/** Listeners by kind of event; each is registered again on every new connection. */
export type LinkListeners = {
  readonly [Kind in keyof LinkEvents]?: LinkListener<LinkEvents[Kind]>;
};

/** What a link does at the moment. */
export type LinkStatus =
  | { readonly state: 'connecting'; readonly attempt: number }
  /** The listeners are registered. Read everything again now: from here on events tell what changes. */
  | { readonly state: 'connected'; readonly connection: Connection }
  /** The connection is gone; whatever happens now goes unseen until the next `connected`. */
  | { readonly state: 'lost'; readonly reason: CloseReason }
  /** An attempt failed; the next one follows after `delayMs`. */
  | { readonly state: 'retrying'; readonly attempt: number; readonly error: unknown; readonly delayMs: number }
  /** close() was called. The last status of a link. */
  | { readonly state: 'closed' };

/** How to keep up a link. */
export interface LinkOptions extends Omit<ConnectOptions, 'signal'> {
  readonly listeners?: LinkListeners;
  /** Called with every change of the status, in order. What it throws becomes an uncaught exception. */
  readonly onStatus?: (status: LinkStatus) => void;
  /**
   * The wait after the n-th attempt in a row is random, between half and the whole of
   * initialMs * 2^(n-1), at most maxMs. A connection that stood longer than maxMs starts a new row.
   * Default 100 and 10000.
   */
  readonly backoff?: { readonly initialMs: number; readonly maxMs: number };
}

const DEFAULT_BACKOFF = { initialMs: 100, maxMs: 10_000 };

/** A connection that comes back: made by {@link openLink}, kept up until close(). */
export class Link implements AsyncDisposable {
  readonly #options: LinkOptions;
  readonly #stop = new AbortController();
  readonly #done: Promise<void>;
  readonly #waiters = new Set<(connection: Connection | undefined) => void>();
  #status: LinkStatus = { state: 'connecting', attempt: 1 };

  /** @internal */
  constructor(options: LinkOptions) {
    this.#options = options;
    this.#done = this.#run();
  }

  get status(): LinkStatus {
    return this.#status;
  }

  /**
   * The connection: the present one, or the next. Rejects with DeadlineExceeded when there is none in
   * time, with ConnectionLost when the link is closed.
   */
  async connection(options: { deadlineMs?: number } = {}): Promise<Connection> {
    if (this.#status.state === 'connected') return this.#status.connection;
    const deadlineMs = options.deadlineMs ?? this.#options.defaultDeadlineMs ?? 30_000;
    const { promise, resolve, reject } = Promise.withResolvers<Connection>();
    const settle = (connection: Connection | undefined) => {
      if (connection) resolve(connection);
      else reject(new ConnectionLost({ kind: 'closed', message: 'the link was closed' }, false));
    };
    if (this.#status.state === 'closed') settle(undefined);
    this.#waiters.add(settle);
    const timer = setTimeout(() => reject(new DeadlineExceeded('connect', deadlineMs, false)), deadlineMs);
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      this.#waiters.delete(settle);
    }
  }

  /** Ends the connection and comes back no more; idempotent. Resolves when everything has stopped. */
  async close(): Promise<void> {
    this.#stop.abort();
    await this.#done;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Connect, tell, wait for the loss, tell; again. Only close() ends it. */
  async #run(): Promise<void> {
    await Promise.resolve(); // whoever opened the link has it before its first status
    const { initialMs, maxMs } = this.#options.backoff ?? DEFAULT_BACKOFF;
    for (let attempt = 1; !this.#stop.signal.aborted; attempt++) {
      const startedAt = performance.now();
      const fullMs = Math.min(maxMs, initialMs * 2 ** (attempt - 1));
      const delayMs = Math.round(fullMs * (0.5 + Math.random() / 2)); // many links that fell together do not come back together
      this.#change({ state: 'connecting', attempt });
      try {
        await this.#connectAndStay();
      } catch (error) {
        if (!this.#stop.signal.aborted) this.#change({ state: 'retrying', attempt, error, delayMs });
      }
      // A daemon that accepts and hangs up at once is backed off from like one that is not there.
      if (performance.now() - startedAt > maxMs && this.#wasConnected()) attempt = 0;
      await wait(delayMs, undefined, { signal: this.#stop.signal }).catch(() => undefined); // close() cuts it short
    }
    this.#change({ state: 'closed' });
  }

  /** Resolves when a connection that stood is gone; rejects when none could be made. */
  async #connectAndStay(): Promise<void> {
    const { signal } = this.#stop;
    const connection = await connect({ ...this.#options, signal });
    try {
      await this.#listen(connection);
    } catch (error) {
      await connection.close();
      throw error;
    }
    this.#change({ state: 'connected', connection });
    const closeConnection = () => void connection.close(); // close() never rejects
    signal.addEventListener('abort', closeConnection, { once: true });
    if (signal.aborted) closeConnection();
    const reason = await connection.closed;
    signal.removeEventListener('abort', closeConnection);
    await connection.close();
    this.#change({ state: 'lost', reason });
  }

  async #listen(connection: Connection): Promise<void> {
    const { network, pool, ...domain } = this.#options.listeners ?? {};
    const kinds = Object.keys(domain) as DomainEventKind[]; // keys() forgets the key type
    await Promise.all([
      ...kinds.map((kind) => this.#listenTo(connection, kind)),
      network && connection.onNetworkEvent((event) => network(event, connection)),
      pool && connection.onPoolEvent((event) => pool(event, connection)),
    ]);
  }

  async #listenTo<Kind extends DomainEventKind>(connection: Connection, kind: Kind): Promise<void> {
    // the intersection of both tables' types is more than the compiler sees through
    const listener = this.#options.listeners?.[kind] as LinkListener<DomainEvents[Kind]> | undefined;
    if (listener) await connection.onDomainEvent(kind, (event) => listener(event, connection));
  }

  #wasConnected(): boolean {
    return this.#status.state === 'lost';
  }

  #change(status: LinkStatus): void {
    this.#status = status;
    try {
      this.#options.onStatus?.(status);
    } catch (error) {
      queueMicrotask(() => {
        throw error; // the listener's fault is its owner's, not the link's
      });
    }
    if (status.state === 'connected') for (const settle of this.#waiters) settle(status.connection);
    if (status.state === 'closed') for (const settle of this.#waiters) settle(undefined);
  }
}

/**
 * Keeps a connection up until close(): it reconnects with backoff, registers its listeners again
 * each time, and says so, because events that happened in between are gone: read again on `connected`.
 * Throws InvalidRequest or Unsupported for a URI that can never work.
 */
export function openLink(options: LinkOptions): Link {
  addressOf(options);
  return new Link(options);
}
