import { fromLibvirt, type AttachHost } from '@novacron/agent';
import { inTransaction } from '@novacron/database';
import { startWorker, type AnyStep, type Bells, type OperationsWorker } from '@novacron/operations';
import type { RedisOptions } from 'ioredis';
import type { Logger } from 'pino';
import type { Database, Tx } from './database.ts';
import { createHostNetworks, type HostNetworks } from './host/host-networks.ts';
import type { OverlayNews } from './host/overlay-news.ts';
import { startReconciler } from './host/reconcile.ts';
import type { RunOnHost } from './host/run-on-host.ts';
import { startSightings } from './host/sightings.ts';
import { holdRulesStep, updateFiltersStep } from './operations/filters.ts';
import { migrationSteps } from './operations/migrate.ts';
import { dropNetworkStep, forgetNetworkStep, holdNetworkStep } from './operations/networks.ts';
import { hostNicSteps, serviceNicSteps } from './operations/nics.ts';

export interface WorkerContext {
  database: Database;
  bells: Bells;
  redis: RedisOptions;
  logger: Logger;
  runOnHost: RunOnHost;
  news: OverlayNews;
  disturb: (step: AnyStep<Tx>) => AnyStep<Tx>;
}

const SERVICE_STEPS: AnyStep<Tx>[] = [...serviceNicSteps, holdRulesStep, holdNetworkStep, forgetNetworkStep];

const hostSteps = (networks: HostNetworks, database: Database): AnyStep<Tx>[] => [
  ...hostNicSteps(networks, database),
  ...migrationSteps(networks, database),
  updateFiltersStep(networks),
  dropNetworkStep(networks),
];

const workerOptions = ({ database, bells, redis, logger, disturb }: WorkerContext, steps: readonly AnyStep<Tx>[]) => ({
  service: 'network',
  steps: steps.map(disturb),
  sql: database,
  transaction: <T>(work: (tx: Tx) => Promise<T>) => inTransaction(database, work),
  bells,
  redis,
  logger,
});

/** The queue of the steps that need no host. */
export const startServiceWorker = (context: WorkerContext): OperationsWorker => startWorker<Tx>({ ...workerOptions(context, SERVICE_STEPS), host: null });

/** What this service runs beside a host: the queue of its steps, the reconciler of its networks, and who sees its guests' addresses. */
export const attachHost =
  (context: WorkerContext): AttachHost =>
  (agent) => {
    const { database, logger, runOnHost, news } = context;
    const networks = createHostNetworks({ agent, database, runOnHost, logger, tellPeers: (id) => news.tell(id) });
    const reconciler = startReconciler(networks, logger);
    const sightings = startSightings(agent, database, logger);
    const unlisten = news.listen((networkId) => {
      database.networkHost
        .count({ where: { networkId, hostId: agent.host.id } })
        .then((count) => (count > 0 && agent.connected ? networks.settle(networkId) : undefined))
        .catch((error: unknown) => logger.warn({ err: error, networkId, hostId: agent.host.id }, 'an overlay could not be brought to its hosts; trying again'));
    });
    const worker = startWorker<Tx>({
      ...workerOptions(context, hostSteps(networks, database)),
      host: { id: agent.host.id, epoch: agent.epoch },
      toDomainError: fromLibvirt,
    });
    return {
      prepared: reconciler.looked,
      async close(options) {
        unlisten();
        await Promise.all([worker.close(options), reconciler.close(), sightings.close()]);
      },
    };
  };
