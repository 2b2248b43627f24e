import { DomainError } from '@novacron/core';

/**
 * One password hash at a time: hashing is slow on purpose, and a flood of sign-ins gets one core at most. Whoever would wait too long is
 * refused at once instead.
 */

/** How long those who come before may take, as far as can be said. */
const PATIENCE_MS = 2_000;
/** Of one hash, before any was made; and what a clock that is set meanwhile can't go beyond. */
const FIRST_ESTIMATE_MS = 40;
const LONGEST_MS = 10_000;
/** How much the last one says of the next. */
const WEIGHT = 0.2;

export interface HashQueue {
  /** RATE_LIMITED, retryable, with how long, when those who come before take more than 2 s: said before anything else is done. */
  requireRoom(): void;
  /** Does `work`, which makes so many hashes, after all that were asked for before. RATE_LIMITED as above. */
  inTurn<Result>(hashes: number, work: () => Promise<Result>): Promise<Result>;
}

/** `now` in milliseconds. */
export function createHashQueue(now: () => number): HashQueue {
  let estimateMs = FIRST_ESTIMATE_MS;
  let pending = 0;
  let last: Promise<unknown> = Promise.resolve();

  function requireRoom(): void {
    const waitMs = pending * estimateMs;
    if (waitMs > PATIENCE_MS) throw new DomainError('RATE_LIMITED', `Too many people are signing in right now: try again in ${Math.ceil(waitMs / 1000)} s.`);
  }

  return {
    requireRoom,
    async inTurn(hashes, work) {
      requireRoom();
      pending += hashes;
      const turn = last.then(async () => {
        const startedAt = now();
        try {
          return await work();
        } finally {
          const tookMs = Math.min(Math.max(0, now() - startedAt), LONGEST_MS) / hashes;
          estimateMs += WEIGHT * (tookMs - estimateMs);
          pending -= hashes;
        }
      });
      last = turn.catch(() => undefined); // whoever asked is told
      return turn;
    },
  };
}
