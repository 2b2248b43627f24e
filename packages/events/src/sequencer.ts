import { setTimeout as delay } from 'node:timers/promises';
import type { EventRecord } from '@novacron/contracts';
import { postgresPool, serviceDatabaseUrl } from '@novacron/database';
import { connectRedis } from '@novacron/redis';
import type { RedisOptions } from 'ioredis';
import pg from 'pg';
import type { Logger } from 'pino';
import { EVENT_STREAM, streamId, toRecord, type EventRow } from './event-row.ts';

const BATCH = 500;
/** How late a commit is noticed whose notification was lost. */
const LOOK_MS = 250;
const CHECK_STREAM_MS = 1_000;
/** How many events Redis keeps; older ones are read from PostgreSQL. */
const STREAM_LENGTH = 20_000;

export interface SequencerOptions {
  databaseUrl: string;
  redis: RedisOptions;
  logger: Logger;
}

export interface Sequencer {
  close(): Promise<void>;
}

/**
 * Gives every committed event its place in the one order and passes it on to Redis. PostgreSQL's NOTIFY wakes it at
 * each commit. Any number may run: the function that numbers takes a lock, and an entry that is already in the
 * stream, or too late for it, is refused by its id.
 */
export function startSequencer({ databaseUrl, redis, logger }: SequencerOptions): Sequencer {
  const pool = postgresPool(databaseUrl, 'operations', 2);
  const stream = connectRedis(redis);
  const closed = new AbortController();
  let wake: () => void = () => {};
  let relaying = true;
  let checkedAt = 0;

  const sequence = async (): Promise<EventRecord[]> => {
    const { rows } = await pool.query<EventRow>('SELECT * FROM operations.sequence_events($1) ORDER BY position', [BATCH]);
    return rows.map(toRecord);
  };

  const relay = async (events: readonly EventRecord[]): Promise<void> => {
    if (events.length === 0) return;
    const pipeline = stream.pipeline();
    for (const event of events) {
      pipeline.xadd(EVENT_STREAM, 'MAXLEN', '~', STREAM_LENGTH, streamId(event.position), 'event', JSON.stringify(event));
    }
    const results = await pipeline.exec();
    const fault = results?.find(([error]) => error && !/equal or smaller/.test(error.message))?.[0];
    if (fault) throw fault;
  };

  /** A wiped or lagging stream gets the newest events again, as many as it keeps. */
  const refill = async (): Promise<void> => {
    const [last] = await stream.xrevrange(EVENT_STREAM, '+', '-', 'COUNT', 1);
    const has = Number(last?.[0].split('-')[0] ?? 0);
    const { rows } = await pool.query<{ head: string; trimmed: string }>('SELECT head, trimmed FROM operations.event_bounds()');
    const head = Number(rows[0]?.head ?? 0);
    const oldest = Math.max(Number(rows[0]?.trimmed ?? 0), head - STREAM_LENGTH);
    if (has > head) await stream.del(EVENT_STREAM); // of another database
    for (let at = has > head ? oldest : Math.max(has, oldest); at < head; ) {
      const batch = await pool.query<EventRow>('SELECT * FROM operations.read_events($1, $2)', [at, BATCH]);
      if (batch.rows.length === 0) return;
      const events = batch.rows.map(toRecord);
      await relay(events);
      at = events.at(-1)?.position ?? head;
    }
  };

  const tell = async (work: () => Promise<void>): Promise<void> => {
    try {
      await work();
      if (!relaying) logger.info('events reach Redis again');
      relaying = true;
    } catch (error) {
      if (relaying) logger.warn({ err: error }, 'events do not reach Redis; readers take them from PostgreSQL');
      relaying = false;
    }
  };

  const run = async (): Promise<void> => {
    while (!closed.signal.aborted) {
      const woken = new Promise<void>((resolve) => {
        wake = resolve;
      });
      try {
        const events = await sequence();
        if (events.length > 0 && relaying) await tell(() => relay(events));
        if (performance.now() - checkedAt > CHECK_STREAM_MS) {
          checkedAt = performance.now();
          await tell(refill);
        }
        if (events.length === BATCH) continue;
      } catch (error) {
        if (closed.signal.aborted) return;
        logger.warn({ err: error }, 'events could not be put in order; trying again');
      }
      const look = new AbortController();
      await Promise.race([woken, delay(LOOK_MS, undefined, { signal: look.signal }).catch(() => undefined)]);
      look.abort();
    }
  };

  const listener = listen(databaseUrl, () => wake(), closed.signal);
  const running = run();
  return {
    async close() {
      closed.abort();
      wake();
      await Promise.all([running, listener]);
      stream.disconnect();
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
