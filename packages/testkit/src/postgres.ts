import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { startPostgres as startLocalPostgres } from '@novacron/local';
import pg from 'pg';
import { testRun } from './run.ts';

export interface TestDatabase {
  name: string;
  /** Of a superuser. */
  url: string;
  /** Removes it, cutting whoever is still connected. */
  drop(): Promise<void>;
}

export interface TestPostgres {
  /** Of a superuser, in the database `postgres`. */
  url: string;
  /** A new, empty database of one's own; `template` names one to copy. */
  createDatabase(options?: { template?: string }): Promise<TestDatabase>;
}

/**
 * The PostgreSQL of this run: one server for all test files, started by the first who asks. It ends with
 * the run. Durability is off: a test that needs it starts a server of its own with @novacron/local.
 */
export async function startPostgres(): Promise<TestPostgres> {
  const run = await testRun();
  const { url } = await startLocalPostgres({
    dir: join(run.dir, 'postgres'),
    database: 'postgres',
    settings: { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off', max_connections: '400' },
  });
  return { url, createDatabase: ({ template } = {}) => createDatabase(url, template) };
}

async function createDatabase(serverUrl: string, template: string | undefined): Promise<TestDatabase> {
  const name = `test_${randomBytes(6).toString('hex')}`;
  const source = template === undefined ? '' : ` template ${pg.escapeIdentifier(template)}`;
  // file_copy without fsync is the quicker strategy for small databases on a server like this one.
  await execute(serverUrl, `create database ${name}${source} strategy file_copy`);
  return {
    name,
    url: Object.assign(new URL(serverUrl), { pathname: `/${name}` }).toString(),
    drop: () => execute(serverUrl, `drop database if exists ${name} with (force)`),
  };
}

async function execute(url: string, statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}
