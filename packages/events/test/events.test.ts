import type { EventRecord } from '@novacron/contracts';
import { postgresPool } from '@novacron/database';
import { connectRedis } from '@novacron/redis';
import { eventually, migratedDatabase, startRedis, type TestDatabase, type TestRedis } from '@novacron/testkit';
import type pg from 'pg';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openEventLog, startSequencer, type EventLog, type Sequencer } from '../src/index.ts';

const logger = pino({ level: 'silent' });
let database: TestDatabase;
let redis: TestRedis;
let writers: pg.Pool;
let log: EventLog;
let sequencer: Sequencer;

beforeEach(async () => {
  database = await migratedDatabase();
  redis = await startRedis();
  writers = postgresPool(database.url, 'vms', 16);
  log = openEventLog({ databaseUrl: database.url, redis: redis.options, logger });
  sequencer = startSequencer({ databaseUrl: database.url, redis: redis.options, logger });
});
afterEach(async () => {
  await log.close();
  await sequencer.close();
  await writers.end();
  await redis.stop();
  await database.drop();
});

const EMIT = `SELECT operations.emit('vm.changed', $1, NULL, $2::jsonb)::text`;
const write = (entity: string, generation: number) => writers.query(EMIT, [entity, JSON.stringify({ after: { generation } })]);
/** Forgets all events so far, as if their retention had passed. */
async function trim(): Promise<void> {
  const operations = postgresPool(database.url, 'operations', 1);
  await operations.query("SELECT operations.trim_events(now() + interval '1 hour')");
  await operations.end();
}
const generationOf = (event: EventRecord): number => (event.after as { generation: number }).generation;

/** Collects what a follower is given, and checks on the way that no position is missing. */
function follow(after = 0) {
  const events: EventRecord[] = [];
  const follower = log.follow(after, (event) => {
    expect(event.position).toBe(after + events.length + 1);
    events.push(event);
  });
  return { events, follower };
}

describe('the one order', () => {
  it('has no gap, and keeps the order of each entity, under 16 writers with rollbacks', async () => {
    const { events } = follow();
    const lockers = new Map<string, number>();
    const ENTITIES = 5;
    const ROUNDS = 60;
    let committed = 0;
    const writer = async (index: number): Promise<void> => {
      const client = await writers.connect();
      try {
        for (let round = 0; round < ROUNDS; round += 1) {
          const entity = (index + round) % ENTITIES;
          await client.query('BEGIN');
          // stands for the lock of the entity's row; the generation is read and raised under it
          await client.query('SELECT pg_advisory_xact_lock($1)', [entity]);
          const generation = (lockers.get(String(entity)) ?? 0) + 1;
          await client.query(EMIT, [String(entity), JSON.stringify({ after: { generation } })]);
          if ((index * 7 + round) % 3 === 0) {
            await client.query('ROLLBACK');
            continue;
          }
          lockers.set(String(entity), generation);
          await client.query('COMMIT');
          committed += 1;
        }
      } finally {
        client.release();
      }
    };
    await Promise.all(Array.from({ length: 16 }, (_, index) => writer(index)));
    await eventually('all committed events', () => expect(events).toHaveLength(committed));
    for (let entity = 0; entity < ENTITIES; entity += 1) {
      const generations = events.filter((event) => event.entityId === String(entity)).map(generationOf);
      expect(generations).toEqual(Array.from({ length: generations.length }, (_, index) => index + 1));
    }
    expect(await log.head()).toBe(committed);
  });

  it('is the same with a second sequencer beside', async () => {
    const second = startSequencer({ databaseUrl: database.url, redis: redis.options, logger });
    const { events } = follow();
    await Promise.all(Array.from({ length: 200 }, (_, index) => write(`vm-${index}`, 1)));
    await eventually('all events', () => expect(events).toHaveLength(200));
    await second.close();
  });

  it('refuses events that are not of the service that emits them', async () => {
    await expect(writers.query(`SELECT operations.emit('user.access', 'x', NULL, '{}')`)).rejects.toThrow(/does not emit/);
    await expect(writers.query(`SELECT operations.emit('operation.changed', 'x', NULL, '{}')`)).rejects.toThrow(/does not emit/);
    for (const body of ['{}', '{"after": {}, "position": 1000000000}', '{"after": {}, "type": "session.revoked"}']) {
      await expect(writers.query(EMIT, ['x', body])).rejects.toThrow(/nothing else/);
    }
    await expect(writers.query("SELECT operations.submit('{\"kind\": \"user.forged\"}', '[]')")).rejects.toThrow(/does not submit/);
    await expect(writers.query('DELETE FROM operations.outbox')).rejects.toThrow(/permission denied/);
  });
});

describe('the kernel', () => {
  it('lets no role call what it was not granted', async () => {
    const { rows } = await writers.query<{ name: string }>(
      "SELECT p.proname AS name FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname = 'operations' AND (p.proacl IS NULL OR p.proacl::text ~ '[{,]=X')",
    );
    expect(rows).toEqual([]);
    await expect(writers.query('SELECT operations.sequence_events(1)')).rejects.toThrow(/permission denied/);
  });
});

describe('reading on after a cursor', () => {
  it('gives what came after it, from PostgreSQL when Redis never had it', async () => {
    await Promise.all([1, 2, 3, 4].map((generation) => write('vm', generation)));
    await eventually('four events', async () => expect(await log.head()).toBe(4));
    const wiper = connectRedis(redis.options, { enableOfflineQueue: true });
    await wiper.flushall();
    wiper.disconnect();
    const { events } = follow(2);
    await eventually('the last two', () => expect(events.map((event) => event.position)).toEqual([3, 4]));
  });

  it('says CURSOR_EXPIRED for what is past retention', async () => {
    await write('vm', 1);
    await eventually('the event', async () => expect(await log.head()).toBe(1));
    await trim();
    await expect(log.read(0, 10)).rejects.toMatchObject({ code: 'CURSOR_EXPIRED', field: 'after' });
    expect(await log.read(1, 10)).toEqual([]);
  });

  it('goes on after what is past retention, and says once what was missed', async () => {
    for (const generation of [1, 2, 3]) await write('vm', generation);
    await eventually('the events', async () => expect(await log.head()).toBe(3));
    await trim();
    const errors: unknown[] = [];
    const noting = pino({ level: 'error' }, { write: (line: string) => errors.push(JSON.parse(line)) });
    const behind = openEventLog({ databaseUrl: database.url, redis: redis.options, logger: noting });
    const given: number[] = [];
    const missed: number[] = [];
    const follower = behind.follow(1, ({ position }) => void given.push(position), (upTo) => missed.push(upTo));
    await eventually('the jump', () => expect(follower.position).toBe(3)); // before anything else happens
    await write('vm', 4);
    await eventually('the next event', () => expect(given).toEqual([4]));
    expect(missed).toEqual([3]);
    expect(errors).toEqual([expect.objectContaining({ position: 1, trimmed: 3 })]);
    await behind.close();
  });
});

describe('accidents', () => {
  it('a wiped Redis is refilled', async () => {
    await write('vm', 1);
    await eventually('the event', async () => expect(await log.head()).toBe(1));
    const client = connectRedis(redis.options, { enableOfflineQueue: true });
    await client.flushall();
    await eventually('the stream filled again', async () => expect(await client.xlen('novacron.events')).toBe(1));
    client.disconnect();
  });

  it('Redis killed and started again while events flow: nothing is missed', async () => {
    const { events } = follow();
    for (let generation = 1; generation <= 60; generation += 1) {
      await write('vm', generation);
      if (generation === 20) redis.kill();
      if (generation === 40) await redis.restart();
    }
    await eventually('all events', () => expect(events.map(generationOf)).toEqual(Array.from({ length: 60 }, (_, index) => index + 1)));
  });

  it('Redis frozen while events flow: they are numbered and handed over without it, and it is refilled afterwards', async () => {
    const { events } = follow();
    const writeUpTo = async (last: number) => {
      for (let generation = events.length + 1; generation <= last; generation += 1) await write('vm', generation);
    };
    const stream = connectRedis(redis.options, { enableOfflineQueue: true });
    const streamed = async () => (await stream.xrange('novacron.events', '-', '+')).length;
    await writeUpTo(10);
    await eventually('the stream', async () => expect(await streamed()).toBe(10));
    await eventually('what came before', () => expect(events).toHaveLength(10));

    redis.freeze();
    await write('vm', 11); // a relay of this one hangs while the next are numbered
    await eventually('the first number', async () => expect(await log.head()).toBe(11), { timeoutMs: 1_000 });
    await write('vm', 12);
    await eventually('the second number', async () => expect(await log.head()).toBe(12), { timeoutMs: 1_000 });
    await eventually('what came first', () => expect(events).toHaveLength(12), { timeoutMs: 4_500 });
    await writeUpTo(20);
    await eventually('what came next', () => expect(events).toHaveLength(20), { timeoutMs: 1_500 });

    redis.thaw();
    await eventually('the stream filled again', async () => expect(await streamed()).toBe(20));
    await writeUpTo(30);
    await eventually('all events', () => expect(events.map(generationOf)).toEqual(Array.from({ length: 30 }, (_, index) => index + 1)));
    stream.disconnect();
  });

  it('every connection to PostgreSQL cut while events flow: nothing is missed', async () => {
    const { events } = follow();
    for (let generation = 1; generation <= 40; generation += 1) {
      await eventually('a connection', () => write('vm', generation));
      if (generation % 15 === 0) {
        const admin = postgresPool(database.url, 'operations', 1);
        await admin.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'novacron_operations' AND pid <> pg_backend_pid()");
        await admin.end();
      }
    }
    await eventually('all events', () => expect(events.map(generationOf)).toEqual(Array.from({ length: 40 }, (_, index) => index + 1)));
  });
});
