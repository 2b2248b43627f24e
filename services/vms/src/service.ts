import type { AgentOptions, AttachHost, HostRecord } from '@novacron/agent';
import type { RequestContext, Subgraph } from '@novacron/contracts';
import { createBells, type AnyStep, type OperationsWorker } from '@novacron/operations';
import type { RedisOptions } from 'ioredis';
import type { Logger } from 'pino';
import type { CreateOptions } from './create-vm.ts';
import { openDatabase, type Tx } from './database.ts';
import type { VmsContext } from './graphql/context.ts';
import { schema } from './graphql/schema.ts';
import { readLibvirtUuid, type HostPolicy } from './host-report.ts';
import { createLoaders } from './loaders.ts';
import { insertLocalHost, waitUntilSeen } from './register-host.ts';
import { identifyHost, listHostRecords, setUnattendedHostsOffline } from './store/hosts.ts';
import { attachHost, hostSteps, SERVICE_STEPS, startServiceWorker } from './worker.ts';

export interface VmsOptions {
  /** The owner's URL, or the one of the service's own role. */
  databaseUrl: string;
  redis: RedisOptions;
  logger: Logger;
  /** Directories that kernels may be read from. */
  bootDirectories: readonly string[];
  hostPolicy: HostPolicy;
  /** Seals what a VM's cloud-init is told. */
  readonly sealSeed: CreateOptions['sealSeed'];
  /** For tests: what is done instead of a step. */
  disturb?(step: AnyStep<Tx>): AnyStep<Tx>;
  /** Called after a host was registered. */
  onHostRegistered?(): void;
}

export interface VmsService {
  readonly subgraph: Subgraph;
  /** Every host of the fleet: who may be its agent asks for its lease. */
  listHosts(): Promise<HostRecord[]>;
  /** Takes this machine into the fleet, if its URI is not there yet, and waits a little for it to be seen. Idempotent. */
  registerLocalHost(name: string, uri: string): Promise<void>;
  /** Is it the host that was registered? Answers why not, as its `problem` then says; null: it is. */
  readonly admitHost: AgentOptions['admit'];
  /** What runs beside a host. */
  readonly attachHost: AttachHost;
  /** Begins what runs once for the fleet, in any number of processes: steps that need no host, and who is offline. */
  start(): void;
  close(options?: { force?: boolean }): Promise<void>;
}

/** How late a host whose agent was killed is seen to be offline, after its lease has ended. */
const UNATTENDED_MS = 1_000;

/** VMs and the hosts they are on. Needs a migrated database; connects at the first question. */
export function createVmsService(options: VmsOptions): VmsService {
  const { redis, logger, bootDirectories, hostPolicy, sealSeed, disturb = (step) => step } = options;
  const database = openDatabase(options.databaseUrl);
  const bells = createBells(redis, logger);
  const context = { database, bells, redis, logger, bootDirectories, hostPolicy };
  let worker: OperationsWorker | null = null;
  let timer: NodeJS.Timeout | undefined;

  const createContext = (request: RequestContext): VmsContext => ({
    ...request,
    database,
    bootDirectories,
    sealSeed,
    loaders: createLoaders(database),
    ring: (bell) => bells.ring(bell),
    onHostRegistered: () => options.onHostRegistered?.(),
  });

  return {
    subgraph: { name: 'vms', schema, createContext },
    listHosts: () => listHostRecords(database),
    async registerLocalHost(name, uri) {
      await insertLocalHost(database, name, uri);
      options.onHostRegistered?.();
      await waitUntilSeen(database, uri);
    },
    admitHost: async (host, epoch, connection) => identifyHost(database, host.id, epoch, await readLibvirtUuid(connection, host)),
    attachHost: attachHost(context, (...given) => hostSteps(...given).map(disturb)),
    start() {
      worker = startServiceWorker(context, SERVICE_STEPS.map(disturb));
      timer = setInterval(() => {
        setUnattendedHostsOffline(database).catch((error: unknown) => logger.warn({ err: error }, 'unattended hosts could not be looked for'));
      }, UNATTENDED_MS);
    },
    async close(how) {
      clearInterval(timer);
      await worker?.close(how);
      await bells.close();
      await database.$disconnect();
    },
  };
}

export { schema as vmsSchema };
