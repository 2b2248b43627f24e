import type { EventRecord } from '@novacron/contracts';
import { connectRedis } from '@novacron/redis';
import type { RedisOptions } from 'ioredis';
import type pg from 'pg';
import type { Logger } from 'pino';
import { createAlarm } from './alarm.ts';
import { EVENT_STREAM, streamId, toRecord, type EventRow } from './event-row.ts';

const BATCH = 500;
const CHECK_STREAM_MS = 1_000;
/** How many events Redis keeps; older ones are read from PostgreSQL. */
const STREAM_LENGTH = 20_000;

export interface RelayOptions {
  /** Logged in as the operations service. */
  pool: pg.Pool;
  redis: RedisOptions;
  logger: Logger;
}

export interface Relay {
  /** Takes numbered events, in their order. Never waits, and never fails: what Redis misses is refilled later. */
  offer(events: readonly EventRecord[]): void;
  close(): Promise<void>;
}

/** Passes events on to Redis, beside whoever numbers them: a Redis that is slow, frozen or gone holds up nobody. */
export function startRelay({ pool, redis, logger }: RelayOptions): Relay {
  const stream = connectRedis(redis);
  const alarm = createAlarm();
  /** Null while the stream lacks events that came before: an entry can't be put in front of another later on. */
  let waiting: EventRecord[] | null = null;
  const closed = new AbortController();
  let arrives = true;
  let checkedAt = performance.now(); // the connection comes up first

  const add = async (events: readonly EventRecord[]): Promise<void> => {
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
    checkedAt = performance.now();
    waiting ??= []; // what is numbered from here on, or is in what is read below
    const [last] = await stream.xrevrange(EVENT_STREAM, '+', '-', 'COUNT', 1);
    const has = Number(last?.[0].split('-')[0] ?? 0);
    const { rows } = await pool.query<{ head: string; trimmed: string }>('SELECT head, trimmed FROM operations.event_bounds()');
    const head = Number(rows[0]?.head ?? 0);
    const oldest = Math.max(Number(rows[0]?.trimmed ?? 0), head - STREAM_LENGTH);
    if (has > head) await stream.del(EVENT_STREAM); // of another database
    for (let at = has > head ? oldest : Math.max(has, oldest); at < head && !closed.signal.aborted; ) {
      const batch = await pool.query<EventRow>('SELECT * FROM operations.read_events($1, $2)', [at, BATCH]);
      if (batch.rows.length === 0) return;
      const events = batch.rows.map(toRecord);
      await add(events);
      at = events.at(-1)?.position ?? head;
    }
  };

  const isIdle = (): boolean => !waiting?.length;
  const run = async (): Promise<void> => {
    for (;;) {
      if (isIdle() && !closed.signal.aborted) await alarm.sleep(Math.max(0, checkedAt + CHECK_STREAM_MS - performance.now()));
      if (isIdle() && closed.signal.aborted) return;
      try {
        if (waiting) await add(waiting.splice(0, BATCH));
        if (!waiting || performance.now() - checkedAt >= CHECK_STREAM_MS) await refill();
        if (!arrives) logger.info('events reach Redis again');
        arrives = true;
      } catch (error) {
        if (arrives) logger.warn({ err: error }, 'events do not reach Redis; readers take them from PostgreSQL');
        arrives = false;
        waiting = null;
      }
    }
  };

  stream.on('ready', alarm.ring);
  const running = run();
  return {
    offer(events) {
      if (!waiting || events.length === 0) return;
      // more than the stream would keep: refilled when Redis takes them again
      if (waiting.length + events.length > STREAM_LENGTH) waiting = null;
      else waiting.push(...events);
      alarm.ring();
    },
    async close() {
      closed.abort();
      alarm.ring();
      await running;
      stream.disconnect();
    },
  };
}
