import type { AttachHost } from '@novacron/agent';
import type { RequestContext, Subgraph } from '@novacron/contracts';
import { createBells, type AnyStep, type OperationsWorker } from '@novacron/operations';
import type { Secrets } from '@novacron/secrets';
import type { RedisOptions } from 'ioredis';
import type { Logger } from 'pino';
import { openDatabase, type Tx } from './database.ts';
import type { StorageContext } from './graphql/context.ts';
import { schema } from './graphql/schema.ts';
import { createLoaders } from './loaders.ts';
import { attachHost, startServiceWorker } from './worker.ts';
import type { WorkerContext } from './worker-context.ts';

export interface StorageOptions {
  /** The owner's URL, or the one of the service's own role. */
  databaseUrl: string;
  redis: RedisOptions;
  logger: Logger;
  /** What seals passphrases and seeds. */
  secrets: Secrets;
  /** Where every host's own pool is; else /var/lib/libvirt/novacron, or the like below its home for a libvirt without root. */
  poolDirectory?: string | null;
  /** How much more is promised than there is; 1 unless told. */
  overcommit?: number;
  /** For tests: changes each step that workers do. */
  disturb?(step: AnyStep<Tx>): AnyStep<Tx>;
}

export interface StorageService {
  readonly subgraph: Subgraph;
  /** What runs beside a host. */
  readonly attachHost: AttachHost;
  /** Begins what runs once for the fleet, in any number of processes: steps that need no host. */
  start(): void;
  close(options?: { force?: boolean }): Promise<void>;
}

/** Pools, volumes and images. Needs a migrated database; connects at the first question. */
export function createStorageService(options: StorageOptions): StorageService {
  const { redis, logger, secrets, disturb } = options;
  const database = openDatabase(options.databaseUrl);
  const bells = createBells(redis, logger);
  const policy = { directory: options.poolDirectory ?? null, overcommit: options.overcommit ?? 1 };
  const context: WorkerContext = { database, bells, redis, logger, secrets, policy };
  let worker: OperationsWorker | null = null;

  const createContext = (request: RequestContext): StorageContext => ({
    ...request,
    database,
    secrets,
    loaders: createLoaders(database),
    ring: (bell) => bells.ring(bell),
  });

  return {
    subgraph: { name: 'storage', schema, createContext },
    attachHost: attachHost(context, disturb),
    start() {
      worker = startServiceWorker(context, disturb);
    },
    async close(how) {
      await worker?.close(how);
      await bells.close();
      await database.$disconnect();
    },
  };
}

export { schema as storageSchema };
