import { Redis } from 'ioredis';
import pg from 'pg';
import { expect, test } from 'vitest';
import { startPostgres } from './postgres.ts';
import { startRedis } from './redis.ts';

async function query(url: string, sql: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(sql)).rows.flatMap((row) => Object.values(row));
  } finally {
    await client.end();
  }
}

test('each database is empty, its own, and can be a copy of another', async () => {
  const postgres = await startPostgres();
  const [one, two] = await Promise.all([postgres.createDatabase(), postgres.createDatabase()]);
  await query(one.url, 'create table only_here as select 1 as n');
  expect(await query(two.url, "select to_regclass('only_here')")).toEqual([null]);
  const copy = await postgres.createDatabase({ template: one.name });
  expect(await query(copy.url, 'select n from only_here')).toEqual([1]);
  const idle = new pg.Client({ connectionString: one.url });
  idle.on('error', () => undefined); // it is cut off
  await idle.connect();
  await Promise.all([one, two, copy].map((database) => database.drop()));
  expect(await query(postgres.url, `select count(*)::int from pg_database where datname = '${one.name}'`)).toEqual([0]);
});

test('a Redis can be killed and comes back with what it had', async () => {
  const server = await startRedis();
  const before = new Redis(server.options);
  before.on('error', () => undefined); // it is cut off
  await before.set('kept', '42');
  before.disconnect();
  server.kill();
  await server.restart();
  const after = new Redis(server.options);
  expect(await after.get('kept')).toBe('42');
  after.disconnect();
  await server.stop();
});
