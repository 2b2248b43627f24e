/** When a silent connection is given up. */
export interface KeepAliveOptions {
  /** Milliseconds of silence before a ping. */
  readonly intervalMs: number;
  /** After so many pings in a row without any answer, and one more interval, the connection is lost. */
  readonly count: number;
}

/**
 * The client's half of libvirt's keep-alive: whatever arrives proves that the daemon lives; silence
 * is answered with pings, and silence after those with `onDead`.
 * Source of the rules: libvirt 9.0.0 src/rpc/virkeepalive.c.
 */
export class KeepAlive {
  readonly #count: number;
  readonly #sendPing: () => void;
  readonly #onDead: () => void;
  readonly #timer: NodeJS.Timeout;
  #unanswered = 0;

  constructor(options: KeepAliveOptions, sendPing: () => void, onDead: () => void) {
    this.#count = options.count;
    this.#sendPing = sendPing;
    this.#onDead = onDead;
    this.#timer = setInterval(() => this.#tick(), options.intervalMs);
  }

  /** Something arrived from the daemon. */
  heard(): void {
    this.#unanswered = 0;
    this.#timer.refresh();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #tick(): void {
    if (this.#unanswered >= this.#count) {
      this.stop();
      this.#onDead();
      return;
    }
    this.#unanswered += 1;
    this.#sendPing();
  }
}
