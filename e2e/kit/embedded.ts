import { rmSync } from 'node:fs';
import { guest, migratedDatabase, startLibvirtHosts, startRedis, testRun, eventually, type Guest, type LibvirtHostsOptions, type TestHost } from '@novacron/testkit';
import pg from 'pg';
import { pino, type Logger } from 'pino';
import { ROLES } from '../../app/src/arguments.ts';
import { readEnvironment, type Environment } from '../../app/src/environment.ts';
import { startSystem, type System, type SystemOptions } from '../../app/src/system.ts';
import { Graph, type Loose } from './client.ts';
import { NO_LIMITS } from './limits.ts';
import { ADMIN } from './people.ts';

/** All roles in this process, on a database, a Redis and a libvirt host of its own. */
export interface Embedded {
  readonly graph: Graph;
  readonly system: System;
  readonly environment: Environment;
  readonly guest: Guest;
  /** The first of its hosts. */
  readonly host: TestHost;
  readonly hosts: readonly TestHost[];
  readonly databaseUrl: string;
  readonly redisUrl: string;
  /** What it has logged, parsed. */
  readonly log: Loose[];
  readonly logger: Logger;
  /** Straight from the tables, as the owner. */
  sql<Row = Loose>(text: string, values?: unknown[]): Promise<Row[]>;
  /** Takes a test host into the fleet, the first unless told otherwise, and waits until it is ONLINE. */
  registerHost(admin: Graph, host?: TestHost): Promise<string>;
  /** Stops every role; `force`: as if killed. */
  stop(how?: { force?: boolean }): Promise<void>;
  /** Starts them again, on the same port. */
  start(): Promise<void>;
  close(): Promise<void>;
}

export interface EmbeddedOptions {
  /** How many libvirt hosts, that can reach each other: one unless told. */
  hosts?: number;
  libvirt?: LibvirtHostsOptions;
  /** How other hosts reach one: plain TCP unless told. */
  migrationUri?: (host: TestHost) => string;
  /** Directories that VMs may boot from, beside the test guest's. */
  bootDirectories?: readonly string[];
  /** What is done instead of each step. */
  disturb?: NonNullable<SystemOptions['disturb']>;
}

/** Everything of it is stopped by `close`, and by the end of the test run if that is not reached. */
export async function startEmbedded(variables: Record<string, string> = {}, options: EmbeddedOptions = {}): Promise<Embedded> {
  const opened = new AsyncDisposableStack();
  try {
    const run = await testRun();
    const data = run.makeDirectory('e2e');
    opened.defer(() => rmSync(data, { recursive: true, force: true }));
    const [testGuest, database, redis, hosts] = [await guest(), await migratedDatabase(), await startRedis(), await startLibvirtHosts(options.hosts ?? 1, options.libvirt)];
    opened.defer(() => database.drop());
    opened.defer(() => redis.stop());
    opened.defer(() => hosts.stop());
    const [host] = hosts.hosts;
    if (host === undefined) throw new Error('There is no test host.');
    const pool = new pg.Pool({ connectionString: database.url, max: 2 });
    pool.on('error', () => {}); // the database is dropped with it
    opened.defer(() => pool.end());

    const log: Loose[] = [];
    const logger = pino({ level: 'info' }, { write: (line: string) => void log.push(JSON.parse(line) as Loose) });
    const environmentAt = (port: number) =>
      readEnvironment({
        NOVACRON_DATA: data,
        NOVACRON_PORT: String(port),
        NOVACRON_SUBGRAPH_PORT: '0',
        NOVACRON_BOOT_DIRS: [testGuest.bootDir, ...(options.bootDirectories ?? [])].join(':'),
        NOVACRON_ADMIN_EMAIL: ADMIN.email,
        NOVACRON_ADMIN_PASSWORD: ADMIN.password,
        ...NO_LIMITS,
        ...variables,
      });
    const startAt = (port: number) =>
      startSystem({
        roles: ROLES,
        environment: environmentAt(port),
        databaseUrl: database.url,
        redisUrl: redis.url,
        logger,
        agentHost: null,
        isAccelerated: () => Promise.resolve(false),
        ...(options.disturb ? { disturb: options.disturb } : {}),
        runOnHost: ({ name }, [command = '', ...args]) => {
          const place = hosts.hosts.find((one) => one.name === name);
          if (!place) throw new Error(`There is no test host ${name}.`);
          return place.exec(command, ...args);
        },
      });
    let system = await startAt(0);
    opened.defer(() => system.close());
    const url = system.url ?? '';

    const sql = async <Row>(text: string, values: unknown[] = []) => (await pool.query(text, values)).rows as Row[]; // the test names what it selects
    return {
      graph: new Graph(url),
      get system() {
        return system;
      },
      environment: environmentAt(Number(new URL(url).port)),
      guest: testGuest,
      host,
      hosts: hosts.hosts,
      databaseUrl: database.url,
      redisUrl: redis.url,
      log,
      logger,
      sql,
      registerHost: (admin, one = host) => registerHost(admin, one, options.migrationUri?.(one)),
      stop: (how) => system.close(how),
      async start() {
        system = await startAt(Number(new URL(url).port));
      },
      close: () => opened.disposeAsync(),
    };
  } catch (error) {
    await opened.disposeAsync();
    throw error;
  }
}

/** Takes a test host into the fleet, and waits until its agent has seen it. */
export async function registerHost(admin: Graph, host: TestHost, migrationUri = `qemu+tcp://${host.address}/system`): Promise<string> {
  const { registerHost: registered } = await admin.run('mutation ($input: RegisterHostInput!) { registerHost(input: $input) { id } }', {
    input: { name: host.name, uri: host.uri, migrationUri },
  });
  await eventually(
    `${host.name} to be online`,
    async () => (await admin.run('query ($id: ID!) { host(id: $id) { state } }', { id: registered.id }))['host'].state === 'ONLINE',
    { timeoutMs: 20_000 },
  );
  return registered.id;
}
