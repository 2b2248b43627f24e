import type { Logger } from 'pino';
import type { Bells } from './bells.ts';
import { dueBells, type Sql } from './kernel.ts';

export interface SweeperOptions {
  /** A client with the role of the operations service. */
  sql: Sql;
  bells: Bells;
  logger: Logger;
  intervalMs?: number;
}

export interface Sweeper {
  close(): Promise<void>;
}

const BATCH = 1_000;

/** Rings, as soon as it can and then again and again, for whatever is due and in nobody's hands: a bell may be lost, an operation not. */
export function startSweeper({ sql, bells, logger, intervalMs = 5_000 }: SweeperOptions): Sweeper {
  let sweeping: Promise<void> = Promise.resolve();
  let busy = false;
  let closed = false;
  const sweep = async (): Promise<void> => {
    try {
      for (const bell of await dueBells(sql, BATCH)) bells.ring(bell);
    } catch (error) {
      logger.warn({ err: error }, 'due operations could not be read; trying again');
    } finally {
      busy = false;
    }
  };
  const begin = (): void => {
    if (busy || closed) return;
    busy = true;
    sweeping = sweep();
  };
  void bells.connected.then(begin);
  const timer = setInterval(begin, intervalMs);
  return {
    async close() {
      closed = true;
      clearInterval(timer);
      await sweeping;
    },
  };
}
