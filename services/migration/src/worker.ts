import { fromLibvirt, type AttachHost } from '@novacron/agent';
import type { HostId } from '@novacron/core';
import { inTransaction } from '@novacron/database';
import { startWorker, type AnyStep, type Bells, type OperationsWorker } from '@novacron/operations';
import type { RedisOptions } from 'ioredis';
import type { Logger } from 'pino';
import type { Database, Tx } from './database.ts';
import { checkSourceStep } from './operations/check-source.ts';
import { checkTargetStep } from './operations/check-target.ts';
import { drainStep } from './operations/drain.ts';
import { holdStep } from './operations/hold.ts';
import { moveStep } from './operations/move.ts';
import { watchArrivals } from './watch-arrivals.ts';

export interface WorkerContext {
  database: Database;
  bells: Bells;
  redis: RedisOptions;
  logger: Logger;
  /** Wraps each step: for tests. */
  disturb(step: AnyStep<Tx>): AnyStep<Tx>;
}

/** The queue of the steps that need no host. */
export const startServiceWorker = (context: WorkerContext): OperationsWorker => work(context, null, [holdStep, drainStep(context)]);

/** What this service runs beside a host: the queue of its steps, and who looks for VMs that arrive. */
export const attachHost =
  (context: WorkerContext): AttachHost =>
  (agent) => {
    const { database, logger } = context;
    const arrivals = watchArrivals(agent, database, logger);
    const steps = [checkSourceStep(agent, database), checkTargetStep(agent, database, arrivals), moveStep({ agent, database, logger })];
    const worker = work(context, { id: agent.host.id, epoch: agent.epoch }, steps);
    return {
      async close(options) {
        await Promise.all([worker.close(options), arrivals.close(options)]);
      },
    };
  };

function work({ database, bells, redis, logger, disturb }: WorkerContext, host: { id: HostId; epoch: number } | null, steps: readonly AnyStep<Tx>[]): OperationsWorker {
  return startWorker<Tx>({
    service: 'migration',
    host,
    steps: steps.map(disturb),
    sql: database,
    transaction: (body) => inTransaction(database, body),
    bells,
    redis,
    logger,
    toDomainError: fromLibvirt,
  });
}
