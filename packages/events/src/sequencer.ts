import { setTimeout as delay } from 'node:timers/promises';
import type { EventRecord } from '@novacron/contracts';
import { postgresPool, serviceDatabaseUrl } from '@novacron/database';
import type { RedisOptions } from 'ioredis';
import pg from 'pg';
import type { Logger } from 'pino';
import { createAlarm } from './alarm.ts';
import { startAuditChain, type AuditChainOptions } from './audit-chain.ts';
import { toRecord, type EventRow } from './event-row.ts';
import { startRelay } from './relay.ts';

const BATCH = 500;
/** How late a commit is noticed whose notification was lost. */
const LOOK_MS = 250;

export interface SequencerOptions {
  databaseUrl: string;
  redis: RedisOptions;
  logger: Logger;
  audit?: Pick<AuditChainOptions, 'unknownAfterMs' | 'countedForMs'>;
}

export interface Sequencer {
  close(): Promise<void>;
}

/**
 * Gives every committed event its place in the one order and offers it to the relay, which passes it on to Redis.
 * PostgreSQL's NOTIFY wakes it at each commit. Numbering needs PostgreSQL alone. Any number of sequencers may run: the
 * function that numbers takes a lock, and an entry that is already in the stream, or too late for it, is refused by
 * its id. The audit is chained beside it, by the same rule.
 */
export function startSequencer({ databaseUrl, redis, logger, audit = {} }: SequencerOptions): Sequencer {
  const pool = postgresPool(databaseUrl, 'operations', 3); // one to number, one to refill, one for the audit
  const relay = startRelay({ pool, redis, logger });
  const chain = startAuditChain({ pool, logger, ...audit });
  const commits = createAlarm();
  const closed = new AbortController();

  const sequence = async (): Promise<EventRecord[]> => {
    const { rows } = await pool.query<EventRow>('SELECT * FROM operations.sequence_events($1) ORDER BY position', [BATCH]);
    return rows.map(toRecord);
  };

  const run = async (): Promise<void> => {
    while (!closed.signal.aborted) {
      try {
        const events = await sequence();
        relay.offer(events);
        if (events.length === BATCH) continue;
      } catch (error) {
        if (closed.signal.aborted) return;
        logger.warn({ err: error }, 'events could not be put in order; trying again');
      }
      await commits.sleep(LOOK_MS);
    }
  };

  const listener = listen(databaseUrl, commits.ring, closed.signal);
  const running = run();
  return {
    async close() {
      closed.abort();
      commits.ring();
      await Promise.all([running, listener, chain.close()]);
      await relay.close();
      await pool.end();
    },
  };
}

/** Calls back at every commit that put an event into the outbox; connects again by itself. */
async function listen(databaseUrl: string, onCommit: () => void, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const client = new pg.Client({ connectionString: serviceDatabaseUrl(databaseUrl, 'operations') });
    const ended = new Promise<void>((resolve) => {
      client.on('error', () => resolve());
      client.on('end', () => resolve());
      signal.addEventListener('abort', () => resolve(), { once: true });
    });
    client.on('notification', onCommit);
    try {
      await client.connect();
      await client.query('LISTEN novacron_outbox');
      await ended;
    } catch {
      await delay(LOOK_MS, undefined, { signal }).catch(() => undefined); // the loop looks by itself meanwhile
    } finally {
      await client.end().catch(() => undefined);
    }
  }
}
