import type { Logger } from 'pino';
import { purgeOperations, trimEvents, type Database } from './store.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

export interface RetentionOptions {
  /** How long an event can be resumed from: 7 days. */
  keepEventsMs?: number;
  /** How long an operation is kept after its end: 30 days. */
  keepOperationsMs?: number;
  /** Between two rounds: an hour. The first begins at once. */
  intervalMs?: number;
}

export interface Retention {
  /** Waits for the round under way. */
  close(): Promise<void>;
}

/** Throws away what is old. Any number may run. */
export function startRetention(db: Database, logger: Logger, options: RetentionOptions = {}): Retention {
  const { keepEventsMs = 7 * DAY_MS, keepOperationsMs = 30 * DAY_MS, intervalMs = HOUR_MS } = options;
  const round = async (): Promise<void> => {
    const now = Date.now();
    const done = await Promise.allSettled([
      trimEvents(db, new Date(now - keepEventsMs)),
      purgeOperations(db, new Date(now - keepOperationsMs)),
    ]);
    for (const { reason } of done.filter((result) => result.status === 'rejected')) {
      logger.warn({ err: reason }, 'old events or operations could not be removed; trying again');
    }
  };
  let rounds = round();
  const timer = setInterval(() => {
    rounds = rounds.then(round);
  }, intervalMs);
  return {
    async close() {
      clearInterval(timer);
      await rounds;
    },
  };
}
