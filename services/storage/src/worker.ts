import { fromLibvirt, type AttachHost } from '@novacron/agent';
import { inTransaction } from '@novacron/database';
import { startWorker, type AnyStep, type OperationsWorker } from '@novacron/operations';
import type { Tx } from './database.ts';
import { createHostStorage } from './host/host-storage.ts';
import { buryImageStep, dropImageStep, fetchImageStep, holdImageStep, probeImageStep } from './images/import-steps.ts';
import { lockVolumeStep, settleAttachedStep, settleDetachedStep, unlockVolumeStep } from './operations/attach.ts';
import { makeVolumeStep } from './operations/create.ts';
import { deleteVolumeStep } from './operations/delete.ts';
import { dropDisksStep, holdDisksStep, makeDisksStep, unlockDisksStep } from './operations/disks.ts';
import { holdVolumeStep } from './operations/hold.ts';
import { holdMigrationStep, migrateInStep, migrateOutStep } from './operations/migrate.ts';
import { holdPoolStep, makePoolStep, settlePoolStep } from './operations/pool.ts';
import { growVolumeStep, settleSizeStep } from './operations/resize.ts';
import { deleteSnapshotStep, makeSnapshotStep } from './operations/snapshot.ts';
import type { HostSteps } from './operations/steps.ts';
import { startReconciler } from './reconcile.ts';
import type { VolumeVerb } from './rules.ts';
import type { WorkerContext } from './worker-context.ts';

export type Disturb = (step: AnyStep<Tx>) => AnyStep<Tx>;

type MakeStep = (steps: HostSteps) => AnyStep<Tx>;

/** The steps that each verb has beside a host: a new verb does not compile until it has its row. */
const HOST_STEPS = {
  create: [makeVolumeStep],
  resize: [growVolumeStep, settleSizeStep],
  attach: [unlockVolumeStep],
  detach: [lockVolumeStep],
  snapshot: [makeSnapshotStep],
  unsnapshot: [deleteSnapshotStep],
  delete: [deleteVolumeStep],
  disks: [makeDisksStep, unlockDisksStep, dropDisksStep],
  migrate: [migrateInStep, migrateOutStep],
  pool: [makePoolStep],
  images: [probeImageStep, fetchImageStep, dropImageStep],
} satisfies Record<VolumeVerb | 'disks' | 'migrate' | 'pool' | 'images', MakeStep[]>;

/** The steps that are done beside a host. */
export const hostSteps = (steps: HostSteps): AnyStep<Tx>[] => Object.values<MakeStep[]>(HOST_STEPS).flatMap((made) => made.map((make) => make(steps)));

/** The steps that need no host. */
export const SERVICE_STEPS: readonly AnyStep<Tx>[] = [
  holdVolumeStep,
  settleAttachedStep,
  settleDetachedStep,
  holdDisksStep,
  holdMigrationStep,
  holdPoolStep,
  settlePoolStep,
  holdImageStep,
  buryImageStep,
];

const common = ({ database, bells, redis, logger }: WorkerContext) => ({
  service: 'storage',
  sql: database,
  transaction: <T>(work: (tx: Tx) => Promise<T>): Promise<T> => inTransaction(database, work),
  bells,
  redis,
  logger,
});

/** The queue of the steps that need no host. */
export const startServiceWorker = (context: WorkerContext, disturb: Disturb = (step) => step): OperationsWorker =>
  startWorker<Tx>({ ...common(context), host: null, steps: SERVICE_STEPS.map(disturb) });

/** What this service runs beside a host: the queue of its steps, and the reconciler of its pools. */
export const attachHost =
  (context: WorkerContext, disturb: Disturb = (step) => step): AttachHost =>
  (agent) => {
    const reconciler = startReconciler({ context, agent });
    const worker = startWorker<Tx>({
      ...common(context),
      host: { id: agent.host.id, epoch: agent.epoch },
      steps: hostSteps({ host: createHostStorage(agent), context }).map(disturb),
      toDomainError: fromLibvirt,
    });
    return {
      prepared: reconciler.looked,
      async close(options) {
        await Promise.all([worker.close(options), reconciler.close()]);
      },
    };
  };
