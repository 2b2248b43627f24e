import type pg from 'pg';
import type { Logger } from 'pino';
import { createAlarm } from './alarm.ts';

const BATCH = 500;
/** How late an entry is in the log, at most, while nothing else is wrong. */
const LOOK_MS = 500;

export interface AuditChainOptions {
  /** Logged in as the operations service. */
  pool: pg.Pool;
  logger: Logger;
  /** After this time, whoever began something and has not said how it ended is gone: 5 minutes. */
  unknownAfterMs?: number | undefined;
  /** How long refusals that are alike are counted: a minute. */
  countedForMs?: number | undefined;
}

export interface AuditChain {
  close(): Promise<void>;
}

/** Gives every audit entry its place, with the hash of all before it. Any number may run: the function that chains takes a lock. */
export function startAuditChain({ pool, logger, unknownAfterMs = 5 * 60_000, countedForMs = 60_000 }: AuditChainOptions): AuditChain {
  const alarm = createAlarm();
  const closed = new AbortController();
  const run = async (): Promise<void> => {
    while (!closed.signal.aborted) {
      try {
        const { rows } = await pool.query<{ chained: number }>('SELECT operations.chain_audit($1, $2, $3) AS chained', [BATCH, unknownAfterMs, countedForMs]);
        if ((rows[0]?.chained ?? 0) >= BATCH) continue;
      } catch (error) {
        if (closed.signal.aborted) return;
        logger.warn({ err: error }, 'audit entries could not be chained; trying again');
      }
      await alarm.sleep(LOOK_MS);
    }
  };
  const running = run();
  return {
    async close() {
      closed.abort();
      alarm.ring();
      await running;
    },
  };
}
