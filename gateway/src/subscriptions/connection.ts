import type { IncomingMessage } from 'node:http';
import type { Viewer } from '@novacron/contracts';
import type { Message, RunningSubscription, Sink } from '@novacron/supergraph';
import type { WebSocket } from 'ws';
import type { Place } from '../rate-limits/places.ts';
import { userAgentOf } from '../user-agent.ts';
import type { Authenticated } from '../viewers.ts';
import type { Connected } from './sessions.ts';

/** Close codes beside those of graphql-ws; its clients come back after each of them. */
export const CLOSE = {
  goingAway: 1001,
  /** graphql-ws: the client does not keep to the protocol. */
  badRequest: 4400,
  /** The client has not said who it is, where that comes first. */
  unauthorized: 4401,
  tryAgainLater: 1013,
  /** The session ended, the token expired or its user's roles changed. */
  forbidden: 4403,
  /** graphql-ws: an id is used for a second operation before the first has ended. */
  alreadyExists: 4409,
  /** The client reads too slowly. Not 4429: graphql-ws takes that for a fault of the client's and stays away. */
  tooSlow: 4290,
} as const;

/** Bytes that may wait in a socket before it is cut. */
export const BUFFERED_LIMIT = 2 ** 20;
/** The same before anyone has signed in, who can't subscribe to anything. */
const BUFFERED_LIMIT_OF_STRANGERS = 64 * 2 ** 10;
/** How long a client may take to answer that it is closed. */
export const CLOSING_MS = 2_000;
/** Bytes of a reason that a close frame has room for; ws throws for a longer one. RFC 6455, section 5.5. */
const REASON_LIMIT = 123;
/** setTimeout takes no more: 24 days. */
export const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** One client's WebSocket: who it is, what it subscribes to, and when that has to end. */
export class Connection implements Connected {
  readonly socket: WebSocket;
  readonly address: string | null;
  readonly userAgent: string | null;
  /** By the id that the client gave them. */
  readonly subscriptions = new Map<string, Pick<RunningSubscription, 'settled' | 'return'>>();
  /** Ids of operations that have not ended; to complete one does not stop what is being prepared or executed. */
  readonly underWay = new Set<string>();
  viewer: Viewer | null = null;
  readonly #onSlow: (connection: Connection) => void;
  #place: Place;
  #isSlow = false;
  #isClosed = false;
  #expiry: NodeJS.Timeout | undefined;
  #deadline: NodeJS.Timeout | undefined;

  /** `address`: the client's; `place`: among those of its address. */
  constructor(socket: WebSocket, request: IncomingMessage, { address, place, onSlow }: { address: string | null; place: Place; onSlow: (connection: Connection) => void }) {
    this.socket = socket;
    this.address = address;
    this.userAgent = userAgentOf(request.headers);
    this.#place = place;
    this.#onSlow = onSlow;
  }

  /** False as soon as the gateway has decided to close: nothing that the client says counts from then on. */
  get isOpen(): boolean {
    return !this.#isClosed && this.socket.readyState === this.socket.OPEN;
  }

  /** The client leaves more unread than it may: to answer it would only pile up. */
  get isUnread(): boolean {
    return this.socket.bufferedAmount > (this.viewer === null ? BUFFERED_LIMIT_OF_STRANGERS : BUFFERED_LIMIT);
  }

  /** From now on the client is this viewer, in one of the viewer's places, until its token expires; not if it was closed meanwhile. */
  signIn({ viewer, expiresAt }: Authenticated, place: Place): void {
    if (!this.isOpen) {
      place.release();
      return;
    }
    this.#place.release();
    this.#place = place;
    this.viewer = viewer;
    const leftMs = Math.min(LONGEST_TIMER_MS, Math.max(0, expiresAt.getTime() - Date.now()));
    this.#expiry = setTimeout(() => this.close(CLOSE.forbidden, 'Token expired'), leftMs);
    this.#expiry.unref();
  }

  /** Up to where every subscription of this connection has been told everything. */
  get settled(): number {
    return Math.min(...[...this.subscriptions.values()].map((subscription) => subscription.settled));
  }

  /** Sends, or cuts a client that has left too much unread. */
  send(text: string): void {
    if (!this.isOpen) return;
    this.socket.send(text);
    if (this.#isSlow || this.socket.bufferedAmount <= BUFFERED_LIMIT) return;
    this.#isSlow = true;
    // Not before all its subscriptions were given what is being handed out: it is told from where to resume.
    queueMicrotask(() => this.#onSlow(this));
  }

  /** Sends and waits until the text has left this process, or the socket is gone. */
  sendPatiently(text: string): Promise<void> {
    return new Promise((resolve) => {
      if (this.isOpen) this.socket.send(text, () => resolve());
      else resolve();
    });
  }

  /** Where one subscription's messages go. */
  sink(id: string): Sink {
    return new SocketSink(this, id);
  }

  /**
   * Ends everything at once and says why. A client need not answer a close frame, and ws would wait half a minute for
   * it: the socket is cut after two seconds.
   */
  close(code: number, reason: string, patienceMs = CLOSING_MS): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.viewer = null;
    clearTimeout(this.#expiry);
    for (const subscription of this.subscriptions.values()) void subscription.return();
    this.socket.close(code, fitting(reason));
    this.#deadline = setTimeout(() => this.socket.terminate(), patienceMs);
  }

  revoke(): void {
    this.close(CLOSE.forbidden, 'Session revoked');
  }

  readmit(): void {
    this.close(CLOSE.forbidden, 'Access changed');
  }

  /** The socket is gone. */
  forget(): void {
    this.#isClosed = true;
    this.#place.release();
    clearTimeout(this.#expiry);
    clearTimeout(this.#deadline);
  }
}

/** The beginning of a reason: some repeat what the client has sent. */
const fitting = (reason: string): string => reason.slice(0, new TextEncoder().encodeInto(reason, new Uint8Array(REASON_LIMIT)).read);

/** Puts each message into its envelope (graphql-transport-ws, "next"). */
class SocketSink implements Sink {
  readonly #connection: Connection;
  readonly #id: string;
  readonly #head: string;

  constructor(connection: Connection, id: string) {
    this.#connection = connection;
    this.#id = id;
    this.#head = `{"id":${JSON.stringify(id)},"type":"next","payload":`;
  }

  send({ payload }: Message): void {
    this.#connection.send(`${this.#head}${payload}}`);
  }

  sendPatiently({ payload }: Message): Promise<void> {
    return this.#connection.sendPatiently(`${this.#head}${payload}}`);
  }

  ended(): void {
    this.#connection.subscriptions.delete(this.#id);
  }
}
