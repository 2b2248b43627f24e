import type { HostAgent, HostAttachment } from '@novacron/agent';
import type { Subgraph } from '@novacron/contracts';
import type { Redis } from 'ioredis';
import { pino, type Logger } from 'pino';
import type { MonitoringContext } from './graphql/context.ts';
import { schema } from './graphql/schema.ts';
import { HostCollector } from './host-collector.ts';
import { LatestSamples } from './latest-samples.ts';
import { createLoaders } from './loaders.ts';
import { RETENTION_MS } from './rules.ts';
import { SampleStore } from './store.ts';

/** How often what is old is thrown away. */
const CLEANING_INTERVAL_MS = 60_000;

export interface MonitoringOptions {
  /** The owner's, or the one of monitoring's own role. */
  databaseUrl: string;
  /** Stays the caller's: close() leaves it open. */
  redis: Redis;
  /** Silent unless given. */
  logger?: Logger;
  /** Between two rounds on a host. Default 1,000. */
  sampleIntervalMs?: number;
  /** Over how long a row of history averages. Default 10,000. */
  historyIntervalMs?: number;
}

/** What hosts and VMs use: measured beside each host, answered in the graph. */
export interface MonitoringService {
  readonly subgraph: Subgraph;
  /** Measures the host and its VMs until closed, or until the agent's signal is aborted. */
  attachHost(agent: HostAgent): HostAttachment;
  /** Ends all measuring and waits for what is under way. */
  close(): Promise<void>;
}

export function createMonitoringService(options: MonitoringOptions): MonitoringService {
  const { databaseUrl, redis, logger = pino({ level: 'silent' }), sampleIntervalMs = 1_000, historyIntervalMs = 10_000 } = options;
  const store = new SampleStore(databaseUrl);
  const latest = new LatestSamples(redis, logger);
  const collectors = new Set<HostCollector>();

  const clean = async (): Promise<void> => {
    const done = await Promise.allSettled([store.deleteBefore(new Date(Date.now() - RETENTION_MS)), latest.sweep()]);
    for (const { reason } of done.filter((result) => result.status === 'rejected')) {
      logger.warn({ err: reason }, 'old samples could not be deleted; trying again');
    }
  };
  let cleaning = clean();
  const timer = setInterval(() => {
    cleaning = cleaning.then(clean);
  }, CLEANING_INTERVAL_MS);

  return {
    subgraph: {
      name: 'monitoring',
      schema,
      createContext: (request): MonitoringContext => ({ ...request, loaders: createLoaders(request, latest, store), now: new Date() }),
    },
    attachHost(agent) {
      const collector = new HostCollector(agent, { latest, store, logger, sampleIntervalMs, historyIntervalMs });
      collectors.add(collector);
      return {
        close: async () => {
          await collector.close();
          collectors.delete(collector);
        },
      };
    },
    async close() {
      clearInterval(timer);
      await Promise.all([...collectors].map((collector) => collector.close()));
      await cleaning;
      await store.close();
    },
  };
}

export { schema as monitoringSchema };
