import { cpSync, mkdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { serviceDatabaseUrl, type ServiceRole } from '@novacron/database';
import { startPostgres } from '@novacron/local';
import { guest, startLibvirtHosts, startRedis, testRun, type Guest, type TestHost } from '@novacron/testkit';
import { loadOrCreateInternalKeys } from '@novacron/transport';
import pg from 'pg';
import { Graph } from './client.ts';
import { NO_LIMITS } from './limits.ts';
import { ADMIN } from './people.ts';
import { startProcess, type Started } from './process.ts';

/** The processes of a fleet, as a supervisor would run them. */
export const PARTS = ['identity', 'core', 'monitoring', 'gateway', 'agent'] as const;
export type Part = (typeof PARTS)[number];

const ARGUMENTS: Record<Part, readonly string[]> = {
  identity: ['--roles', 'identity'],
  core: ['--roles', 'vms,storage,network,migration,operations'],
  monitoring: ['--roles', 'monitoring'],
  gateway: ['--roles', 'gateway'],
  agent: ['--roles', 'agent', '--host', 'hv1'],
};

/** The logins of each part: no more of the database than it needs. Identity comes first, and makes the tables as their owner. */
const LOGINS: Record<Part, readonly ServiceRole[]> = {
  identity: [],
  core: ['vms', 'storage', 'network', 'migration', 'operations'],
  monitoring: ['monitoring'],
  gateway: ['gateway'],
  agent: ['agent', 'vms', 'storage', 'network', 'migration', 'monitoring'],
};

export interface Fleet {
  readonly graph: Graph;
  readonly guest: Guest;
  readonly host: TestHost;
  readonly redisUrl: string;
  /** The owner's. */
  readonly databaseUrl: string;
  readonly masterKeyFile: string;
  part(name: Part): Started;
  /** Starts a part, again where it was before; ready when this resolves. */
  start(name: Part): Promise<Started>;
  /** kill -9 */
  kill(name: Part): Promise<void>;
  /** Ends Redis as a power cut would, and starts it again. */
  redis: { kill(): void; wipe(): void; restart(): Promise<void> };
  /** PostgreSQL, durable: ends as a crash would, and starts again. */
  postgres: { crash(): Promise<void>; restart(): Promise<void> };
  /** Holds libvirt's daemon: calls are neither done nor refused until it goes on. */
  freezeLibvirt(): Promise<void>;
  thawLibvirt(): Promise<void>;
  /** A connection of the owner's; it is gone with the next crash. */
  connect(): Promise<pg.Client>;
  sql<Row>(text: string, values?: unknown[]): Promise<Row[]>;
  close(): Promise<void>;
}

/** PostgreSQL, Redis, one libvirt host, and every role as a process of its own; `variables`: further ones of a part. */
export async function startFleet(variables: (part: Part) => Record<string, string> = () => ({})): Promise<Fleet> {
  const opened = new AsyncDisposableStack();
  try {
    const run = await testRun();
    const dir = run.makeDirectory('fleet');
    opened.defer(() => rmSync(dir, { recursive: true, force: true }));
    const [testGuest, redis, hosts] = await Promise.all([guest(), startRedis(), startLibvirtHosts(1)]);
    opened.defer(() => redis.stop());
    opened.defer(() => hosts.stop());
    const [host] = hosts.hosts;
    if (host === undefined) throw new Error('There is no test host.');
    const postgresOptions = { dir: join(dir, 'postgres') };
    let postgres = await startPostgres(postgresOptions);
    opened.defer(() => postgres.stop());

    // What an operator copies: the gateway has its pair, subgraphs the public half alone.
    const [gatewayKeys, subgraphKeys] = [join(dir, 'gateway-keys'), join(dir, 'keys')];
    await loadOrCreateInternalKeys(gatewayKeys);
    mkdirSync(subgraphKeys);
    cpSync(join(gatewayKeys, 'gateway.pub'), join(subgraphKeys, 'gateway.pub'));

    const masterKeyFile = join(dir, 'master.key');
    const parts = new Map<Part, Started>();
    const ports = new Map<Part, string>();
    const urlOf = (part: Part) => `http://127.0.0.1:${ports.get(part) ?? '1'}`;
    const environment = (name: Part): Record<string, string> => ({
      NOVACRON_DATA: dir,
      NOVACRON_BOOT_DIRS: testGuest.bootDir,
      ...(name === 'identity' ? { DATABASE_URL: postgres.url } : {}),
      ...Object.fromEntries(LOGINS[name].map((login) => [`DATABASE_URL_${login.toUpperCase()}`, serviceDatabaseUrl(postgres.url, login)])),
      REDIS_URL: redis.url,
      NOVACRON_ADMIN_EMAIL: ADMIN.email,
      NOVACRON_ADMIN_PASSWORD: ADMIN.password,
      ...NO_LIMITS,
      NOVACRON_MASTER_KEY_FILE: masterKeyFile,
      NOVACRON_INTERNAL_KEY_DIR: name === 'gateway' ? gatewayKeys : subgraphKeys,
      NOVACRON_IDENTITY_URL: urlOf('identity'),
      NOVACRON_VMS_URL: urlOf('core'),
      NOVACRON_STORAGE_URL: urlOf('core'),
      NOVACRON_NETWORK_URL: urlOf('core'),
      NOVACRON_MIGRATION_URL: urlOf('core'),
      NOVACRON_OPERATIONS_URL: urlOf('core'),
      NOVACRON_MONITORING_URL: urlOf('monitoring'),
      [name === 'gateway' ? 'NOVACRON_PORT' : 'NOVACRON_SUBGRAPH_PORT']: ports.get(name) ?? '0',
      ...variables(name),
    });
    const part = (name: Part): Started => {
      const found = parts.get(name);
      if (found === undefined) throw new Error(`${name} was never started.`);
      return found;
    };
    const start = async (name: Part): Promise<Started> => {
      const started = startProcess({ args: ARGUMENTS[name], env: environment(name), pidFile: join(dir, `${name}.pid`) });
      parts.set(name, started);
      const { url, subgraphUrl } = await started.logs('ready');
      const address: string | null = url ?? subgraphUrl;
      if (address !== null) ports.set(name, new URL(address).port);
      return started;
    };
    opened.defer(async () => {
      await Promise.all([...parts.values()].map((started) => started.end('SIGKILL')));
    });
    await start('identity'); // the first one makes the tables
    await Promise.all((['core', 'monitoring'] as const).map(start));
    await Promise.all((['agent', 'gateway'] as const).map(start)); // the agent fetches uploads from core

    const connect = async () => {
      const client = new pg.Client({ connectionString: postgres.url });
      client.on('error', () => {}); // cut by a crash that the test made
      await client.connect();
      return client;
    };
    return {
      graph: new Graph(urlOf('gateway')),
      guest: testGuest,
      host,
      redisUrl: redis.url,
      databaseUrl: postgres.url,
      masterKeyFile,
      part,
      start,
      kill: async (name) => void (await part(name).end('SIGKILL')),
      redis: {
        kill: () => redis.kill(),
        wipe: () => rmSync(join(dirname(dirname(new URL(redis.url).pathname)), 'data'), { recursive: true }),
        restart: () => redis.restart(),
      },
      postgres: {
        async crash() {
          process.kill(postgres.pid, 'SIGQUIT'); // pg_ctl stop -m immediate
          await postgres.stop();
        },
        async restart() {
          postgres = await startPostgres(postgresOptions);
        },
      },
      freezeLibvirt: async () => void (await host.exec('sh', '-c', 'kill -STOP $(cat /run/libvirt/libvirtd.pid)')),
      thawLibvirt: async () => void (await host.exec('sh', '-c', 'kill -CONT $(cat /run/libvirt/libvirtd.pid)')),
      connect,
      async sql(text, values = []) {
        const client = await connect();
        try {
          return (await client.query(text, values)).rows;
        } finally {
          await client.end();
        }
      },
      close: () => opened.disposeAsync(),
    };
  } catch (error) {
    await opened.disposeAsync();
    throw error;
  }
}
