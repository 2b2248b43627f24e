import type { EventRecord } from '@novacron/contracts';
import { DomainError } from '@novacron/core';
import { postgresPool } from '@novacron/database';
import { fromDatabase } from '@novacron/operations';
import { answersWithin, connectRedis } from '@novacron/redis';
import type { RedisOptions } from 'ioredis';
import type { Logger } from 'pino';
import { EVENT_STREAM, streamId, toRecord, type EventRow } from './event-row.ts';

/** Everything that was committed, in the one order. */
export interface EventLog {
  /** The position of the newest event; 0 when there is none. */
  head(): Promise<number>;
  /** Up to `limit` events after a position. CURSOR_EXPIRED when the next one is past retention. */
  read(after: number, limit: number): Promise<EventRecord[]>;
  /**
   * Hands over every event after the position, in order and without a gap, until closed. A handler that
   * returns a promise is waited for. Survives the loss of Redis and PostgreSQL connections.
   *
   * The one gap there can be: whoever is further behind than events are kept can't be given the next one. Then an
   * error is logged, `onMissed` is told the position up to which events were missed, and those that are still kept
   * follow, from the one after it. Positions are dense, so the handler can see the gap, too.
   */
  follow(after: number, onEvent: (event: EventRecord) => void | Promise<void>, onMissed?: (upTo: number) => void): Follower;
  close(): Promise<void>;
}

export interface Follower {
  /** The position of the last event that was handed over, or missed for good. */
  readonly position: number;
  close(): Promise<void>;
}

const BATCH = 500;
/** How long one wait on the stream lasts; also how late a hole at the stream's end can be noticed. */
const BLOCK_MS = 1_000;
/** How often PostgreSQL is asked while Redis is away. */
const POLL_MS = 250;

export interface EventLogOptions {
  databaseUrl: string;
  redis: RedisOptions;
  logger: Logger;
}

/** A reader of the log: from Redis while it has what comes next, from PostgreSQL when it has not. */
export function openEventLog({ databaseUrl, redis, logger }: EventLogOptions): EventLog {
  const pool = postgresPool(databaseUrl, 'gateway');
  const followers = new Set<Follower>();

  const read = async (after: number, limit: number): Promise<EventRecord[]> => {
    try {
      const { rows } = await pool.query<EventRow>('SELECT * FROM operations.read_events($1, $2)', [after, limit]);
      return rows.map(toRecord);
    } catch (error) {
      throw fromDatabase(error);
    }
  };

  const bounds = async (): Promise<{ head: number; trimmed: number }> => {
    const { rows } = await pool.query<{ head: string; trimmed: string }>('SELECT head, trimmed FROM operations.event_bounds()');
    return { head: Number(rows[0]?.head ?? 0), trimmed: Number(rows[0]?.trimmed ?? 0) };
  };

  const follow: EventLog['follow'] = (after, onEvent, onMissed) => {
    const stream = connectRedis(redis, { ...answersWithin(BLOCK_MS), autoResendUnfulfilledCommands: false }); // while it is away, PostgreSQL is asked
    const closed = new AbortController();
    let position = after;

    const handOver = async (events: readonly EventRecord[]): Promise<void> => {
      for (const event of events) {
        if (closed.signal.aborted) return;
        await onEvent(event);
        position = event.position;
      }
    };
    /** What the stream has next: nothing within BLOCK_MS, or what follows on without a hole; null when it can't tell. */
    const fromStream = async (): Promise<EventRecord[] | null> => {
      if (stream.status !== 'ready') return null;
      const reply = await stream.xread('COUNT', BATCH, 'BLOCK', BLOCK_MS, 'STREAMS', EVENT_STREAM, streamId(position));
      const entries = reply?.[0]?.[1] ?? [];
      const events = entries.map(([, fields]) => JSON.parse(fields[1] ?? 'null') as EventRecord); // written by the relay
      const followsOn = events.every((event, index) => event.position === position + index + 1);
      return followsOn ? events : null;
    };
    /** Goes on with the oldest event that is kept; asking for an older one again would be in vain for ever. */
    const skipMissed = async (): Promise<void> => {
      const { trimmed } = await bounds();
      if (trimmed <= position) return;
      logger.error({ position, trimmed }, 'events were no longer kept when they were to be read; going on after them');
      position = trimmed;
      onMissed?.(trimmed);
    };
    const run = async (): Promise<void> => {
      let trusted = false; // until PostgreSQL has said that there is nothing between
      while (!closed.signal.aborted) {
        try {
          const asked = trusted;
          const events = asked ? await fromStream().catch(() => null) : null;
          if (events && events.length > 0) {
            await handOver(events);
            continue;
          }
          const stored = await read(position, BATCH).catch(async (error: unknown) => {
            if (!(error instanceof DomainError) || error.code !== 'CURSOR_EXPIRED') throw error;
            await skipMissed();
            return read(position, BATCH);
          });
          if (stored.some((event, index) => event.position !== position + index + 1)) throw new Error('The event log has a hole.');
          await handOver(stored);
          trusted = stored.length < BATCH;
          if (stored.length === 0 && asked && events === null) await pause(POLL_MS, closed.signal);
        } catch (error) {
          if (closed.signal.aborted) return;
          logger.warn({ err: error, position }, 'the event log could not be read; trying again');
          await pause(POLL_MS, closed.signal);
        }
      }
    };
    const running = run();
    const follower: Follower = {
      get position() {
        return position;
      },
      async close() {
        closed.abort();
        stream.disconnect();
        followers.delete(follower);
        await running;
      },
    };
    followers.add(follower);
    return follower;
  };

  return {
    async head() {
      return (await bounds()).head;
    },
    read,
    follow,
    async close() {
      await Promise.all([...followers].map((follower) => follower.close()));
      await pool.end();
    },
  };
}

const pause = (ms: number, signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const timer = setTimeout(resolve, ms);
    signal.addEventListener('abort', () => (clearTimeout(timer), resolve()), { once: true });
  });
