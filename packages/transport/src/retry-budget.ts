/** Retries that are possible at once after a time without any. */
const RESERVE = 10;

/** Lets retries be no more than a share of the requests, so that an outage is not met with a multiple of the load. */
export class RetryBudget {
  readonly #share: number;
  #left = RESERVE;

  /** `share`: retries per request, in the long run. */
  constructor(share: number) {
    this.#share = share;
  }

  /** A request has come. */
  earn(): void {
    this.#left = Math.min(RESERVE, this.#left + this.#share);
  }

  /** False when the retry must not be made. */
  spend(): boolean {
    if (this.#left < 1) return false;
    this.#left -= 1;
    return true;
  }
}
