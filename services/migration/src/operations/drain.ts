import { setTimeout as delay } from 'node:timers/promises';
import { migrationSteps } from '@novacron/contracts';
import { DomainError, type HostId, type OperationId, type VmId } from '@novacron/core';
import { inTransaction } from '@novacron/database';
import { childrenOf, GaveUp, goesOn, requestCancel, type Bells, type ChildOperation, type Step, type StepRun } from '@novacron/operations';
import type { Logger } from 'pino';
import { beginMigration, newMigrationIds } from '../begin-migration.ts';
import type { Database, Tx } from '../database.ts';
import { vmsOn, type VmFacts } from '../neighbours.ts';
import { modeFor } from '../rules.ts';

/** So many VMs leave at once: each is slower the more there are, and the network is also others'. */
const AT_ONCE = 2;
const LOOK_MS = 500;
/** So many are named when it fails; the others are counted. */
const NAMED = 5;

export interface DrainContext {
  database: Database;
  bells: Bells;
  logger: Logger;
}

interface DrainInput {
  hostId: HostId;
}

const isUnderWay = ({ state }: ChildOperation): boolean => !['SUCCEEDED', 'FAILED', 'CANCELLED'].includes(state);

/** Moves every VM of a host elsewhere, each by an operation of its own, until none is left that can move. */
export const drainStep = (context: DrainContext): Step<Tx, DrainInput, { moved: number }, void> => ({
  ...migrationSteps.DRAIN,
  run: (run, { hostId }) => drain(context, run, hostId),
  commit: async (tx, { hostId }) => void (await tx.hostBlocker.deleteMany({ where: { hostId } })),
  undo: (run) => cancelChildren(context, run.claim.operationId),
  commitUndo: async (tx, { hostId }, _undone, { claim }) => {
    if (claim.cancelled) await tx.hostBlocker.deleteMany({ where: { hostId } });
  },
});

async function drain(context: DrainContext, run: StepRun, hostId: HostId): Promise<{ moved: number }> {
  const { database } = context;
  const { operationId } = run.claim;
  /** Why a VM could not even begin to move; asked again before the drain gives up, since others have made room, or taken it. */
  const refused = new Map<VmId, string>();
  let isLastTry = false;
  await run.begin();
  for (;;) {
    if (run.signal.aborted) {
      if (!(await goesOn(database, operationId))) await cancelChildren(context, operationId);
      throw run.signal.reason;
    }
    // what is on its way here was before the drain, and is the host's only once it has come: in this order, it is seen in one of the two
    const coming = await database.migration.count({ where: { toHostId: hostId, finishedAt: null } });
    const [vms, children] = await Promise.all([vmsOn(database, hostId), childrenOf(database, operationId)]);
    const underWay = children.filter(isUnderWay);
    const failed = new Map(children.filter(({ state }) => state === 'FAILED' || state === 'CANCELLED').map((child) => [child.targetId, reasonOf(child)]));
    const stays = (vm: VmFacts): string | null => failed.get(vm.id) ?? refused.get(vm.id) ?? (vm.verb === null && modeFor(vm.state) === null ? `It is ${vm.state}.` : null);
    const moved = children.filter(({ state }) => state === 'SUCCEEDED').length;
    await writeBlockers(database, hostId, vms, stays);
    run.reportProgress(moved / Math.max(1, moved + vms.length));
    if (vms.length === 0 && underWay.length === 0 && coming === 0) return { moved };

    let free = AT_ONCE - underWay.length;
    for (const vm of vms.filter((one) => one.verb === null && stays(one) === null)) {
      if (free <= 0) break;
      const reason = await beginChild(context, run, vm);
      if (reason === null) free -= 1;
      else refused.set(vm.id, reason);
    }
    const isStill = underWay.length === 0 && coming === 0 && free === AT_ONCE && vms.every((vm) => stays(vm) !== null);
    if (isStill && !isLastTry) {
      isLastTry = true;
      refused.clear();
      continue;
    }
    if (isStill) throw new GaveUp('INVALID_STATE', sentence(vms, stays));
    if (free < AT_ONCE) isLastTry = false;
    await delay(LOOK_MS, undefined, { signal: run.signal }).catch(() => undefined);
  }
}

/** Moves one VM as migrateVm does: while it runs or while it is off, with the disks that have to be copied. @returns why not */
async function beginChild({ database, bells, logger }: DrainContext, { claim }: StepRun, vm: VmFacts): Promise<string | null> {
  const mode = modeFor(vm.state);
  if (mode === null) return `It is ${vm.state}.`;
  try {
    const { bell } = await inTransaction(database, (tx) =>
      beginMigration(tx, {
        ...newMigrationIds(),
        vm,
        hostId: null,
        mode,
        copyStorage: true,
        bandwidthBytesPerSecond: null,
        requestedBy: claim.requestedBy,
        requestId: claim.requestId,
        parentId: claim.operationId,
      }),
    );
    bells.ring(bell);
    return null;
  } catch (error) {
    if (!(error instanceof DomainError) || error.code === 'INTERNAL') throw error;
    logger.info({ operationId: claim.operationId, vmId: vm.id, code: error.code, reason: error.message }, 'a VM can not leave its host');
    return error.message;
  }
}

const reasonOf = ({ state, error }: ChildOperation): string => error?.message ?? (state === 'CANCELLED' ? 'Its migration was cancelled.' : 'Its migration failed.');

async function writeBlockers(database: Database, hostId: HostId, vms: readonly VmFacts[], stays: (vm: VmFacts) => string | null): Promise<void> {
  const blockers = vms.flatMap((vm) => {
    const reason = stays(vm);
    return reason === null ? [] : [{ hostId, vmId: vm.id, vmName: vm.name, reason }];
  });
  const known = await database.hostBlocker.findMany({ where: { hostId } });
  const same = known.length === blockers.length && blockers.every(({ vmId, reason }) => known.some((one) => one.vmId === vmId && one.reason === reason));
  if (same) return;
  await inTransaction(database, async (tx) => {
    await tx.hostBlocker.deleteMany({ where: { hostId } });
    await tx.hostBlocker.createMany({ data: blockers });
  });
}

function sentence(vms: readonly VmFacts[], stays: (vm: VmFacts) => string | null): string {
  const named = vms.slice(0, NAMED).map((vm) => `"${vm.name}": ${stays(vm) ?? ''}`);
  const more = vms.length > NAMED ? ` And ${vms.length - NAMED} more.` : '';
  return `${vms.length} ${vms.length === 1 ? 'VM stays' : 'VMs stay'} on the host. ${named.join(' ')}${more}`;
}

/** Ends what is still on its way, and waits until it has ended: here or there, each VM is at rest then. */
async function cancelChildren({ database, bells }: DrainContext, operationId: OperationId): Promise<void> {
  for (;;) {
    const underWay = (await childrenOf(database, operationId)).filter(isUnderWay);
    if (underWay.length === 0) return;
    for (const { id } of underWay) {
      const bell = await requestCancel(database, id).catch((error: unknown) => {
        if (error instanceof DomainError && error.code === 'INVALID_STATE') return null; // it has gone too far, or ended: then it goes on to its end
        throw error;
      });
      bells.ring(bell);
    }
    await delay(LOOK_MS);
  }
}
