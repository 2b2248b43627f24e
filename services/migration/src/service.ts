import type { AttachHost } from '@novacron/agent';
import type { RequestContext, Subgraph } from '@novacron/contracts';
import { createBells, type AnyStep, type OperationsWorker } from '@novacron/operations';
import type { RedisOptions } from 'ioredis';
import type { Logger } from 'pino';
import { openDatabase, type Tx } from './database.ts';
import type { MigrationContext } from './graphql/context.ts';
import { schema } from './graphql/schema.ts';
import { createLoaders } from './loaders.ts';
import { attachHost, startServiceWorker, type WorkerContext } from './worker.ts';

export interface MigrationOptions {
  /** The owner's URL, or the one of migration's own role. */
  databaseUrl: string;
  redis: RedisOptions;
  logger: Logger;
  /** Wraps each step: for tests. */
  disturb?(step: AnyStep<Tx>): AnyStep<Tx>;
}

export interface MigrationService {
  readonly subgraph: Subgraph;
  /** What runs beside a host. */
  readonly attachHost: AttachHost;
  /** Begins what runs once for the fleet, in any number of processes: steps that need no host. */
  start(): void;
  close(options?: { force?: boolean }): Promise<void>;
}

/** Moves VMs from host to host, and empties hosts. Needs a migrated database; connects at the first question. */
export function createMigrationService({ databaseUrl, redis, logger, disturb = (step) => step }: MigrationOptions): MigrationService {
  const database = openDatabase(databaseUrl);
  const bells = createBells(redis, logger);
  const context: WorkerContext = { database, bells, redis, logger, disturb };
  let worker: OperationsWorker | null = null;

  const createContext = (request: RequestContext): MigrationContext => ({
    ...request,
    database,
    loaders: createLoaders(database, request.viewer),
    ring: (bell) => bells.ring(bell),
  });

  return {
    subgraph: { name: 'migration', schema, createContext },
    attachHost: attachHost(context),
    start() {
      worker = startServiceWorker(context);
    },
    async close(how) {
      await worker?.close(how);
      await bells.close();
      await database.$disconnect();
    },
  };
}

export { schema as migrationSchema };
