import type { Group, Member, Message } from './group.ts';
import type { SubscriptionMetrics } from './metrics.ts';

/** Where a subscription's messages go. */
export interface Sink {
  send(message: Message): void;
  /** Resolves once it is on its way, or never will be. */
  sendPatiently(message: Message): Promise<void>;
  /** The subscription has ended, for whatever reason. */
  ended(): void;
}

/** A running subscription, as graphql-ws drives it: it yields nothing, since messages go to the sink; it ends. */
export interface RunningSubscription extends AsyncIterableIterator<never, undefined> {
  /** Its client has been told everything up to here. */
  readonly settled: number;
  return(): Promise<IteratorReturnResult<undefined>>;
}

/** A group that is there as long as someone holds it. */
export interface HeldGroup {
  readonly group: Group;
  release(): void;
}

/** How it begins: what it needs for that is let go of then. */
interface Beginning {
  hold(): HeldGroup;
  /** The position that it resumes after; null: what happens from now on. */
  after: number | null;
}

/** A subscription of one client. There are tens of thousands: it holds no more than it needs, and no closures. */
export class Subscription implements Member, RunningSubscription {
  floor: number;
  readonly #field: string;
  readonly #sink: Sink;
  readonly #metrics: SubscriptionMetrics;
  readonly #end = Promise.withResolvers<IteratorReturnResult<undefined>>();
  #beginning: Beginning | null;
  #held: HeldGroup | null = null;
  #ended = false;
  #live = false;

  constructor({ position, field, sink, metrics, beginning }: { position: number; field: string; sink: Sink; metrics: SubscriptionMetrics; beginning: Beginning }) {
    this.floor = position;
    this.#field = field;
    this.#sink = sink;
    this.#metrics = metrics;
    this.#beginning = beginning;
    this.#end.promise.catch(() => {}); // seen by whoever iterates, if anyone still does
  }

  get ended(): boolean {
    return this.#ended;
  }

  get settled(): number {
    return this.#live && this.#held !== null ? Math.max(this.floor, this.#held.group.settled) : this.floor;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorReturnResult<undefined>> {
    if (this.#beginning !== null && !this.#ended) this.#begin(this.#beginning);
    return this.#end.promise;
  }

  async return(): Promise<IteratorReturnResult<undefined>> {
    const done = { done: true, value: undefined } as const;
    if (this.#finish()) this.#end.resolve(done);
    return done;
  }

  send(message: Message): void {
    this.#metrics.delivered(this.#field);
    this.#sink.send(message);
  }

  async sendPatiently(message: Message): Promise<void> {
    if (this.#ended) return;
    this.#metrics.delivered(this.#field);
    await this.#sink.sendPatiently(message);
  }

  fail(error: unknown): void {
    if (this.#finish()) this.#end.reject(error);
  }

  #begin({ hold, after }: Beginning): void {
    this.#beginning = null;
    this.#held = hold();
    this.#metrics.began(this.#field);
    this.#held.group.attach(this, after).then(
      () => (this.#live = true),
      (error: unknown) => this.fail(error),
    );
  }

  /** False when it has ended before. */
  #finish(): boolean {
    if (this.#ended) return false;
    this.#ended = true;
    if (this.#held !== null) {
      this.#held.group.detach(this);
      this.#held.release();
      this.#metrics.ended(this.#field);
    }
    this.#sink.ended();
    return true;
  }
}
