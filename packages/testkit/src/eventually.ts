import { setTimeout as delay } from 'node:timers/promises';

export interface EventuallyOptions {
  timeoutMs?: number;
  /** Between two looks. */
  intervalMs?: number;
}

/**
 * Looks again and again until `look` returns something other than undefined, null or false, and returns
 * that. While it throws, the condition does not hold yet. Past the deadline the error says what was
 * waited for and what the last look found.
 */
export async function eventually<T>(
  description: string,
  look: () => T | Promise<T>,
  { timeoutMs = 10_000, intervalMs = 20 }: EventuallyOptions = {},
): Promise<Exclude<Awaited<T>, undefined | null | false | void>> {
  const deadline = performance.now() + timeoutMs;
  let last = 'no look has returned';
  let cause: unknown;
  for (;;) {
    try {
      const found: unknown = await within(look, deadline);
      if (found !== undefined && found !== null && found !== false) {
        return found as Exclude<Awaited<T>, undefined | null | false | void>; // just compared with all four
      }
      last = `the last look found ${String(found)}`;
      cause = undefined;
    } catch (error) {
      if (error !== LATE) {
        last = `the last look failed: ${error instanceof Error ? error.message : String(error)}`;
        cause = error;
      }
    }
    if (performance.now() >= deadline) {
      throw new Error(`Waited ${timeoutMs} ms for ${description}; ${last}.`, { cause });
    }
    await delay(intervalMs);
  }
}

/** Thrown for a look that the deadline cut short: what the one before it found says more. */
const LATE = new Error('cut short by the deadline');

/** A look that never returns must not outlive the deadline. */
async function within<T>(look: () => T | Promise<T>, deadline: number): Promise<T> {
  const limit = new AbortController();
  const late = delay(Math.max(deadline - performance.now(), 0) + 1, undefined, { signal: limit.signal }).then(() => {
    throw LATE;
  });
  try {
    return await Promise.race([Promise.resolve().then(look), late]);
  } finally {
    limit.abort();
    late.catch(() => undefined); // aborted: nobody waits for it any more
  }
}
