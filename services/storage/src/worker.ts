import { fromLibvirt, type AttachHost } from '@novacron/agent';
import { startWorker, type AnyStep, type OperationsWorker } from '@novacron/operations';
import { inTransaction, type Tx } from './database.ts';
import type { WorkerContext } from './worker-context.ts';

export type Disturb = (step: AnyStep<Tx>) => AnyStep<Tx>;

/** The steps that need no host. */
export const serviceSteps = (_context: WorkerContext): AnyStep<Tx>[] => [];

/** The queue of the steps that need no host. */
export const startServiceWorker = (context: WorkerContext, disturb: Disturb = (step) => step): OperationsWorker =>
  startWorker<Tx>({
    service: 'storage',
    host: null,
    steps: serviceSteps(context).map(disturb),
    sql: context.database,
    transaction: (work) => inTransaction(context.database, work),
    bells: context.bells,
    redis: context.redis,
    logger: context.logger,
  });

/** What this service runs beside a host: the queue of its steps, and the reconciler of its pools. */
export const attachHost =
  (context: WorkerContext, disturb: Disturb = (step) => step): AttachHost =>
  (agent) => {
    const steps: AnyStep<Tx>[] = [];
    const worker = startWorker<Tx>({
      service: 'storage',
      host: { id: agent.host.id, epoch: agent.epoch },
      steps: steps.map(disturb),
      sql: context.database,
      transaction: (work) => inTransaction(context.database, work),
      bells: context.bells,
      redis: context.redis,
      logger: context.logger,
      toDomainError: fromLibvirt,
    });
    return { close: (options) => worker.close(options) };
  };
