import type { AttachHost } from '@novacron/agent';
import type { RequestContext, Subgraph } from '@novacron/contracts';
import { createBells, type AnyStep, type OperationsWorker } from '@novacron/operations';
import type { RedisOptions } from 'ioredis';
import type { Logger } from 'pino';
import { openDatabase, type Tx } from './database.ts';
import type { NetworkContext } from './graphql/context.ts';
import { schema } from './graphql/schema.ts';
import { createOverlayNews } from './host/overlay-news.ts';
import { runLocally, type RunOnHost } from './host/run-on-host.ts';
import { createLoaders } from './loaders.ts';
import { attachHost, startServiceWorker } from './worker.ts';

export interface NetworkOptions {
  /** The owner's URL, or the one of the service's own role. */
  databaseUrl: string;
  redis: RedisOptions;
  logger: Logger;
  /** How commands are run on a host, for overlays; here, where the host is this machine, unless told. */
  runOnHost?: RunOnHost;
  /** For tests: wraps each step. */
  disturb?: (step: AnyStep<Tx>) => AnyStep<Tx>;
}

export interface NetworkService {
  readonly subgraph: Subgraph;
  /** What runs beside a host. */
  readonly attachHost: AttachHost;
  /** Begins what runs once for the fleet, in any number of processes: steps that need no host. */
  start(): void;
  close(options?: { force?: boolean }): Promise<void>;
}

/** Networks, NICs and security groups. Needs a migrated database; connects at the first question. */
export function createNetworkService(options: NetworkOptions): NetworkService {
  const { redis, logger, runOnHost = runLocally, disturb = (step) => step } = options;
  const database = openDatabase(options.databaseUrl);
  const bells = createBells(redis, logger);
  const news = createOverlayNews(redis);
  const context = { database, bells, redis, logger, runOnHost, news, disturb };
  let worker: OperationsWorker | null = null;

  const createContext = (request: RequestContext): NetworkContext => ({
    ...request,
    database,
    loaders: createLoaders(database),
    ring: (bell) => bells.ring(bell),
  });

  return {
    subgraph: { name: 'network', schema, createContext },
    attachHost: attachHost(context),
    start() {
      worker = startServiceWorker(context);
    },
    async close(how) {
      await worker?.close(how);
      news.close();
      await bells.close();
      await database.$disconnect();
    },
  };
}

export { schema as networkSchema };
export type { RunOnHost };
