import { mkdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { findChild, lastLines, rememberChild, startChild, stopChild, type Child, type StopStep } from './children.ts';
import { checkSocketPath, checkTraversable, unprivilegedUser } from './data-dir.ts';
import { withLock } from './lock.ts';
import { createCluster } from './postgres-cluster.ts';
import { postgresPrograms } from './postgres-programs.ts';
import { LocalError, type Progress } from './progress.ts';
import { keepPassword, ownDirectory } from './secrets.ts';

export interface PostgresOptions {
  /** Everything of this server lives below it. */
  dir: string;
  /** Created if it does not exist. */
  database?: string;
  /** Server settings (postgresql.conf names) besides ours. */
  settings?: Readonly<Record<string, string>>;
  onProgress?: Progress;
}

/** A private PostgreSQL on a UNIX socket. */
export interface LocalPostgres {
  /**
   * postgresql://novacron:...@localhost/database?host=/socket-directory, of a superuser. The parameter
   * outweighs the host name (pg, libpq), which is there because new URL() refuses an empty one.
   */
  url: string;
  pid: number;
  /** True when it was found alive rather than started. */
  reused: boolean;
  stop(): Promise<void>;
}

const USER = 'novacron';

// SIGINT: close connections, write a checkpoint. SIGQUIT: no checkpoint, recovery at the next start.
// Source: https://www.postgresql.org/docs/18/server-shutdown.html
const STOP: readonly StopStep[] = [
  { signal: 'SIGINT', waitMs: 30_000 },
  { signal: 'SIGQUIT', waitMs: 5_000 },
  { signal: 'SIGKILL', waitMs: 5_000 },
];

/**
 * Starts a private PostgreSQL below `dir`, or uses the one that still runs there. No TCP port: several
 * fit on one machine. It outlives a kill -9 of ours. Idempotent.
 */
export async function startPostgres(options: PostgresOptions): Promise<LocalPostgres> {
  checkTraversable(options.dir);
  mkdirSync(options.dir, { recursive: true, mode: 0o755 });
  return withLock(`postgres:${options.dir}`, () => start(options));
}

async function start({ dir, database = USER, settings = {}, onProgress = () => {} }: PostgresOptions): Promise<LocalPostgres> {
  const data = join(dir, 'data');
  const sockets = join(dir, 'run');
  const pidFile = join(dir, 'postgres.pid');
  const logFile = join(dir, 'postgres.log');
  checkSocketPath(join(sockets, '.s.PGSQL.5432'));
  const password = keepPassword(join(dir, 'password'));
  const urlOf = (name: string): string =>
    `postgresql://${USER}:${password}@localhost/${encodeURIComponent(name)}?host=${encodeURIComponent(sockets)}`;

  let child = findChild(pidFile) ?? adoptPostmaster(data, pidFile);
  const reused = child !== undefined;
  if (child === undefined) {
    const programs = postgresPrograms(dir, onProgress);
    createCluster({ programs, data, user: USER, password, onProgress });
    ownDirectory(sockets);
    onProgress('Starting PostgreSQL');
    child = await startChild({
      command: join(programs, 'bin/postgres'),
      args: ['-D', data, ...settingArgs({ ...serverSettings(sockets), ...settings })],
      pidFile,
      logFile,
      env: { PATH: '/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' },
      user: unprivilegedUser(),
    });
  }
  try {
    await ready(child, urlOf('postgres'), logFile);
    await ensureDatabase(urlOf('postgres'), database);
  } catch (error) {
    if (!reused) await stopChild(pidFile, STOP);
    throw error;
  }
  return { url: urlOf(database), pid: child.pid, reused, stop: () => stopChild(pidFile, STOP) };
}

const serverSettings = (sockets: string): Record<string, string> => ({
  listen_addresses: '',
  unix_socket_directories: sockets,
  unix_socket_permissions: '0700',
  max_connections: '200',
  shared_buffers: '128MB',
  timezone: 'UTC',
  log_timezone: 'UTC',
});

const settingArgs = (settings: Record<string, string>): string[] =>
  Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);

/**
 * The postmaster over this data directory, if we died before its pid file was written. postmaster.pid
 * is proof enough together with the working directory: a postmaster changes into its data directory.
 */
function adoptPostmaster(data: string, pidFile: string): Child | undefined {
  try {
    const pid = Number(readFileSync(join(data, 'postmaster.pid'), 'utf8').split('\n')[0]);
    return readlinkSync(`/proc/${pid}/cwd`) === data ? rememberChild(pidFile, pid) : undefined;
  } catch {
    return undefined; // no such file or no such process
  }
}

async function connect(url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5_000 });
  client.on('error', () => undefined); // a lost connection also rejects the query that waits
  await client.connect();
  return client;
}

/** Waits until the server lets us in; recovery after a crash may take its time. */
async function ready(child: Child, url: string, logFile: string): Promise<void> {
  const deadline = performance.now() + 120_000;
  for (;;) {
    try {
      return await (await connect(url)).end();
    } catch (error) {
      const { code } = error as { code?: string }; // PostgreSQL's and Node's errors both carry one
      if (code === '28P01') {
        throw new LocalError('The private PostgreSQL refuses our password: its password file and its data do not belong together.');
      }
      if (!child.isAlive()) throw new LocalError(`PostgreSQL ended while it started: ${lastLines(logFile)}`);
      if (performance.now() > deadline) throw new LocalError(`PostgreSQL did not answer within 120 s: ${lastLines(logFile)}`);
      await delay(10);
    }
  }
}

async function ensureDatabase(url: string, name: string): Promise<void> {
  if (name === 'postgres') return;
  const client = await connect(url);
  try {
    const found = await client.query('select 1 from pg_database where datname = $1', [name]);
    if (found.rowCount === 0) await client.query(`create database ${client.escapeIdentifier(name)}`);
  } finally {
    await client.end();
  }
}
