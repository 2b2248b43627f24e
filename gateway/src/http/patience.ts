import type { ServerResponse } from 'node:http';

/** How long an answer is waited for. */
export interface Patience {
  /** Aborted when the time is over or the client has gone. */
  readonly signal: AbortSignal;
  /** The answer, or null when the time is over before it. What comes later is nobody's. */
  wait<Result>(answer: Promise<Result>): Promise<Result | null>;
}

/** Begins to count. */
export function createPatience(response: ServerResponse, timeoutMs: number): Patience {
  const over = new AbortController();
  const abort = () => over.abort();
  return {
    signal: over.signal,
    async wait(answer) {
      const late = Promise.withResolvers<null>();
      const timer = setTimeout(() => {
        late.resolve(null);
        abort();
      }, timeoutMs);
      response.once('close', abort);
      try {
        return await Promise.race([answer, late.promise]);
      } finally {
        clearTimeout(timer);
        response.off('close', abort);
      }
    },
  };
}
