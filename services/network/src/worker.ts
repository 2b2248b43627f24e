import { fromLibvirt, type AttachHost } from '@novacron/agent';
import { startWorker, type AnyStep, type Bells, type OperationsWorker } from '@novacron/operations';
import type { RedisOptions } from 'ioredis';
import type { Logger } from 'pino';
import { inTransaction, type Database, type Tx } from './database.ts';
import type { RunOnHost } from './host/run-on-host.ts';

export interface WorkerContext {
  database: Database;
  bells: Bells;
  redis: RedisOptions;
  logger: Logger;
  runOnHost: RunOnHost;
  disturb: (step: AnyStep<Tx>) => AnyStep<Tx>;
}

/** The queue of the steps that need no host. */
export const startServiceWorker = ({ database, bells, redis, logger, disturb }: WorkerContext, steps: readonly AnyStep<Tx>[]): OperationsWorker =>
  startWorker<Tx>({
    service: 'network',
    host: null,
    steps: steps.map(disturb),
    sql: database,
    transaction: (work) => inTransaction(database, work),
    bells,
    redis,
    logger,
  });

/** What this service runs beside a host: the queue of its steps. */
export const attachHost =
  ({ database, bells, redis, logger, disturb }: WorkerContext, steps: readonly AnyStep<Tx>[]): AttachHost =>
  (agent) => {
    const worker = startWorker<Tx>({
      service: 'network',
      host: { id: agent.host.id, epoch: agent.epoch },
      steps: steps.map(disturb),
      sql: database,
      transaction: (work) => inTransaction(database, work),
      bells,
      redis,
      logger,
      toDomainError: fromLibvirt,
    });
    return { close: (options) => worker.close(options) };
  };
