import type { Redis } from 'ioredis';

export interface Rounds {
  /** Waits for the round under way. */
  close(): Promise<void>;
}

/**
 * Does something at once and again and again, never twice at a time. With `redis`: as soon as that is there, and whenever it
 * has come back, too. `round` does not fail.
 */
export function startRounds(round: () => Promise<void>, intervalMs: number, redis?: Redis): Rounds {
  let underWay: Promise<void> | null = null;
  let reached = redis === undefined || redis.status === 'ready';
  const begin = (): void => {
    if (!reached) return;
    underWay ??= round().finally(() => {
      underWay = null;
    });
  };
  const arrived = (): void => {
    reached = true;
    begin();
  };
  begin();
  redis?.on('ready', arrived);
  const timer = setInterval(begin, intervalMs);
  return {
    async close() {
      redis?.off('ready', arrived);
      clearInterval(timer);
      await underWay;
    },
  };
}
