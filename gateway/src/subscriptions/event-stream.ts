import type { ServerResponse } from 'node:http';
import type { Viewer } from '@novacron/contracts';
import { DomainError } from '@novacron/core';
import { encodeCursor, type Message, type RunningSubscription, type Sink } from '@novacron/supergraph';
import type { GraphQLFormattedError } from 'graphql';
import type { Authenticated } from '../viewers.ts';
import { BUFFERED_LIMIT, CLOSING_MS, LONGEST_TIMER_MS } from './connection.ts';
import type { Connected } from './sessions.ts';

/** How soon a client is to come back whose stream broke off: what EventSource does by itself, told to all. */
const RETRY_MS = 1_000;

export interface EventStreamOptions {
  response: ServerResponse;
  /** Headers that every answer carries. */
  headers: Readonly<Record<string, number | string | string[] | undefined>>;
  formatError(error: unknown): GraphQLFormattedError;
  /** Its client reads too slowly, and was cut. */
  onSlow(stream: EventStream): void;
}

/**
 * One operation as server-sent events, in the words of GraphQL over SSE's distinct connections mode: `next` for each result, and
 * `complete` when no more will come. A stream that ends without it broke off: its client comes back with Last-Event-ID.
 * Source: https://github.com/enisdenjo/graphql-sse/blob/master/PROTOCOL.md
 */
export class EventStream implements Connected {
  viewer: Viewer | null = null;
  /** Null: an operation that has one result. */
  subscription: RunningSubscription | null = null;
  readonly #options: EventStreamOptions;
  #isOver = false;
  #expiry: NodeJS.Timeout | undefined;

  constructor(options: EventStreamOptions) {
    this.#options = options;
    const { response, headers } = options;
    response.on('error', () => {}); // 'close' follows, which is what matters
    response.writeHead(200, { ...headers, 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-store', 'x-accel-buffering': 'no' });
    response.write(`retry: ${RETRY_MS}\n\n`);
  }

  get isOpen(): boolean {
    return !this.#isOver && !this.#options.response.destroyed;
  }

  /** Until its token expires, the stream is this viewer's. */
  signIn({ viewer, expiresAt }: Authenticated): void {
    this.viewer = viewer;
    const leftMs = Math.min(LONGEST_TIMER_MS, Math.max(0, expiresAt.getTime() - Date.now()));
    this.#expiry = setTimeout(() => this.fail(new DomainError('UNAUTHENTICATED', 'This access token has expired: refresh the session.')), leftMs);
    this.#expiry.unref();
  }

  /** Where the subscription's messages go. */
  readonly sink: Sink = {
    send: (message) => {
      if (!this.isOpen) return;
      this.#write(message);
      if (this.#options.response.writableLength > BUFFERED_LIMIT) this.#cut();
    },
    sendPatiently: (message) =>
      new Promise((resolve) => {
        if (!this.isOpen) return resolve();
        this.#options.response.once('close', resolve);
        this.#write(message, () => {
          this.#options.response.off('close', resolve);
          resolve();
        });
      }),
    ended: () => {},
  };

  #write({ payload, position }: Message, written?: () => void): void {
    this.#options.response.write(`event: next\nid: ${encodeCursor(position)}\ndata: ${payload}\n\n`, written);
  }

  /** A result that has no place in the log. */
  next(result: object): void {
    if (this.isOpen) this.#options.response.write(`event: next\ndata: ${JSON.stringify(result)}\n\n`);
  }

  keepAlive(): void {
    if (this.isOpen) this.#options.response.write(':\n\n');
  }

  /** No more will come. */
  complete(): void {
    this.#end('event: complete\ndata:\n\n');
  }

  fail(error: unknown): void {
    this.next({ errors: [this.#options.formatError(error)] });
    this.complete();
  }

  /** More would come, elsewhere or by other rights: the client is to come back. */
  breakOff(): void {
    this.#end('');
  }

  revoke(): void {
    this.fail(new DomainError('UNAUTHENTICATED', 'This session has ended: sign in again.'));
  }

  readmit(): void {
    this.breakOff();
  }

  /** The client went away. */
  forget(): void {
    this.#isOver = true;
    this.viewer = null;
    clearTimeout(this.#expiry);
    void this.subscription?.return();
  }

  /** A client need not read to the end: after two seconds the connection is cut. */
  #end(last: string): void {
    if (this.#isOver) return;
    const { response } = this.#options;
    const deadline = setTimeout(() => response.destroy(), CLOSING_MS);
    response.once('close', () => clearTimeout(deadline));
    response.end(last);
    this.forget();
  }

  /** What is buffered is dropped with the connection: the client resumes after the last event that it has read. */
  #cut(): void {
    this.#options.onSlow(this);
    this.#options.response.destroy();
    this.forget();
  }
}
