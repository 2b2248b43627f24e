import { fromLibvirt, type AttachHost } from '@novacron/agent';
import { inTransaction } from '@novacron/database';
import { startWorker, type AnyStep, type Bells, type OperationsWorker } from '@novacron/operations';
import type { RedisOptions } from 'ioredis';
import type { Logger } from 'pino';
import type { Database, Tx } from './database.ts';
import { createHostDomains, type HostDomains } from './host-context.ts';
import type { HostPolicy } from './host-report.ts';
import { defineOnlyStep, defineStep } from './operations/define.ts';
import { buryStep, deleteStep } from './operations/delete.ts';
import { attachDeviceStep, detachDeviceStep, diskOfDevices, resizeDiskStep } from './operations/devices.ts';
import { holdStep } from './operations/hold.ts';
import { drainHostStep, restHostStep } from './operations/maintain.ts';
import { cleanSourceStep, movedStep } from './operations/migrate.ts';
import { pauseStep } from './operations/pause.ts';
import { rebootStep } from './operations/reboot.ts';
import { resumeStep } from './operations/resume.ts';
import { startStep } from './operations/start.ts';
import { stopStep } from './operations/stop.ts';
import { retitleStep } from './operations/update.ts';
import { startReconciler } from './reconcile.ts';
import type { HoldingVerb } from './rules.ts';

export interface WorkerContext {
  database: Database;
  bells: Bells;
  redis: RedisOptions;
  logger: Logger;
  bootDirectories: readonly string[];
  hostPolicy: HostPolicy;
}

type MakeStep = (domains: HostDomains, database: Database) => AnyStep<Tx>;

/** The steps that each verb has beside a host: a new verb does not compile until it has its row. */
const HOST_STEPS = {
  create: [defineStep, defineOnlyStep],
  start: [startStep],
  stop: [
    (domains, database) =>
      stopStep(async ({ vmId }) => (await database.vm.findUnique({ where: { id: vmId }, select: { forceStop: true } }))?.forceStop ?? false)(domains),
  ],
  reboot: [rebootStep],
  pause: [pauseStep],
  resume: [resumeStep],
  delete: [deleteStep],
  update: [(domains, database) => retitleStep(domains, async (id) => (await database.vm.findUnique({ where: { id }, select: { name: true } }))?.name ?? null)],
  attach: [attachDeviceStep],
  detach: [detachDeviceStep],
  resize: [(domains, database) => resizeDiskStep(domains, diskOfDevices(database))],
  migrate: [cleanSourceStep, movedStep],
} satisfies Record<HoldingVerb | 'update', MakeStep[]>;

/** The steps that are done beside a host. */
export const hostSteps = (domains: HostDomains, database: Database): AnyStep<Tx>[] =>
  Object.values<MakeStep[]>(HOST_STEPS).flatMap((steps) => steps.map((make) => make(domains, database)));

/** The steps that need no host. */
export const SERVICE_STEPS: readonly AnyStep<Tx>[] = [holdStep, buryStep, drainHostStep, restHostStep];

/** Their queue. */
export const startServiceWorker = ({ database, bells, redis, logger }: WorkerContext, steps: readonly AnyStep<Tx>[] = SERVICE_STEPS): OperationsWorker =>
  startWorker<Tx>({
    service: 'vms',
    host: null,
    steps,
    sql: database,
    transaction: (work) => inTransaction(database, work),
    bells,
    redis,
    logger,
  });

/** What this service runs beside a host: the queue of its steps, and the reconciler of its VMs. */
export const attachHost =
  ({ database, bells, redis, logger, bootDirectories, hostPolicy }: WorkerContext, makeSteps: typeof hostSteps = hostSteps): AttachHost =>
  (agent) => {
    const domains = createHostDomains(agent, bootDirectories);
    const reconciler = startReconciler({ database, domains, agent, policy: hostPolicy, logger });
    const worker = startWorker<Tx>({
      service: 'vms',
      host: { id: agent.host.id, epoch: agent.epoch },
      steps: makeSteps(domains, database),
      sql: database,
      transaction: (work) => inTransaction(database, work),
      bells,
      redis,
      logger,
      toDomainError: fromLibvirt,
    });
    return {
      async close(options) {
        await Promise.all([worker.close(options), reconciler.close(options)]);
        domains.close();
      },
    };
  };
