import { requireInTenant, requireViewer, type HeldVm, type RequestContext, type Viewer, type VmState } from '@novacron/contracts';
import { checkName, DomainError, newId, parseId, type OperationId, type TenantId, type VmId, type VolumeId } from '@novacron/core';
import { inTransaction } from '@novacron/database';
import { goesOn, operationOf, submit, type AcceptedOperation, type PlannedStep } from '@novacron/operations';
import type { Database, PoolRow, Tx, VolumeRow } from './database.ts';
import { planAttach, planDetach } from './operations/attach.ts';
import { planDelete } from './operations/delete.ts';
import type { VolumeHold } from './operations/hold.ts';
import { planResize, planResizeAttached } from './operations/resize.ts';
import { planSnapshot, planUnsnapshot } from './operations/snapshot.ts';
import { checkSize, LIMITS, refusal, snapshotFile, type VolumeVerb } from './rules.ts';
import { charge, claimRoom, holdVmFor, vmFacts } from './store/claims.ts';
import { hostForPool } from './store/pools.ts';
import { findLockedVolume, freeTarget, holdVolume } from './store/volumes.ts';

export interface Accepted extends AcceptedOperation {
  volumeId: VolumeId;
  /** The volume as the mutation has left it; null where the mutation only found what was accepted before. */
  volume: VolumeRow | null;
}

type ChangeVerb = Exclude<VolumeVerb, 'create'>;

/** Where a VM's disks can be changed. */
const AT_REST: readonly VmState[] = ['RUNNING', 'PAUSED', 'STOPPED', 'CRASHED'];
/** libvirt plugs and unplugs in a guest that answers, or changes nothing but the definition. */
const PLUGGABLE: readonly VmState[] = ['RUNNING', 'STOPPED', 'CRASHED'];

interface Begun {
  tx: Tx;
  volume: VolumeRow & { pool: PoolRow };
  operationId: OperationId;
  hold: VolumeHold;
  /** The VM that has the volume, held for the operation; null while none has it. */
  held: HeldVm | null;
}

interface Change {
  verb: ChangeVerb;
  permission: 'volume:resize' | 'volume:attach' | 'volume:detach' | 'volume:snapshot' | 'volume:delete';
  /** Holds whom it needs, and says what is to be done. */
  begin(begun: Begun): Promise<{ volume: VolumeRow; steps: PlannedStep[] }>;
  /** The VM that is taken with it, where that is not the one that has the volume. */
  vm?(viewer: Viewer, tx: Tx, volume: VolumeRow): Promise<VmId>;
  vmFrom?: readonly VmState[];
}

/** The volume, if the viewer may do this to it. A foreign tenant's volume is NOT_FOUND. */
async function requireVolume(tx: Tx | Database, viewer: Viewer | null, id: VolumeId, { permission }: Pick<Change, 'permission'>): Promise<VolumeRow> {
  const volume = await tx.volume.findUnique({ where: { id } });
  if (!volume || volume.deletedAt !== null) throw new DomainError('NOT_FOUND', 'There is no volume with this id.');
  requireInTenant(viewer, permission, volume.tenantId, 'volume');
  return volume;
}

/** The same verb in flight answers its operation. */
async function inFlight(tx: Tx | Database, volume: VolumeRow, verb: ChangeVerb): Promise<Accepted | null> {
  if (volume.operationVerb !== verb || volume.operationId === null || !(await goesOn(tx, volume.operationId as OperationId))) return null;
  return { volumeId: volume.id as VolumeId, volume, operationId: volume.operationId as OperationId, bell: null }; // brands are added where rows come in
}

/**
 * Accepts a verb on a volume. The same verb in flight answers its operation; another, or a state that it does not start
 * from, is INVALID_STATE. A VM is always locked before its volumes: so does every other service.
 */
async function change(database: Database, context: RequestContext, volumeId: string, what: Change): Promise<Accepted> {
  requireViewer(context.viewer);
  const id = parseId<VolumeId>(volumeId, 'volume');
  try {
    return await inTransaction(database, (tx) => begin(tx, context, id, what));
  } catch (error) {
    // of two requests at the same moment the later one finds its VM held by the first one
    const lost = error instanceof DomainError && error.code === 'INVALID_STATE';
    const first = lost ? await inFlight(database, await requireVolume(database, context.viewer, id, what), what.verb) : null;
    if (first) return first;
    throw error;
  }
}

async function begin(tx: Tx, context: RequestContext, id: VolumeId, what: Change): Promise<Accepted> {
  const viewer = requireViewer(context.viewer);
  const seen = await requireVolume(tx, viewer, id, what);
  const first = await inFlight(tx, seen, what.verb);
  if (first) return first;
  refuse(what.verb, seen);
  const operationId = newId<OperationId>();
  const vmId = what.vm ? await what.vm(viewer, tx, seen) : (seen.vmId as VmId | null); // brands are added where rows come in
  const { verb } = what;
  const withVm = verb === 'attach' || verb === 'detach' || verb === 'resize'; // a volume that a VM has loses a snapshot without the VM
  const held = vmId !== null && withVm ? await holdVmFor(tx, vmId, operationId, verb, what.vmFrom ?? AT_REST) : null;
  const locked = await findLockedVolume(tx, id);
  if (!locked) throw new DomainError('NOT_FOUND', 'There is no volume with this id.');
  refuse(what.verb, locked);
  if (locked.vmId !== seen.vmId) throw new DomainError('CONFLICT', 'The volume was attached or detached at the same moment: try again.', { retryable: true });
  const pool = await tx.pool.findUniqueOrThrow({ where: { id: locked.poolId } });
  const hold = { volumeId: id, operationId, verb: what.verb };
  const { volume, steps } = await what.begin({ tx, volume: { ...locked, pool }, operationId, hold, held });
  const operation = operationOf(context, { id: operationId, kind: `volume.${what.verb}`, targetType: 'Volume', targetId: id, tenantId: locked.tenantId as TenantId });
  return { volumeId: id, volume, operationId, bell: await submit(tx, operation, steps) };
}

function refuse(verb: ChangeVerb, volume: VolumeRow): void {
  const reason = refusal(verb, volume.state);
  if (reason !== null) throw new DomainError('INVALID_STATE', reason);
}

export const resizeVolume = (database: Database, context: RequestContext, id: string, bytes: number): Promise<Accepted> =>
  change(database, context, id, {
    verb: 'resize',
    permission: 'volume:resize',
    async begin({ tx, volume, operationId, hold, held }) {
      const size = checkSize(bytes);
      if (BigInt(size) <= volume.size) {
        throw new DomainError('BAD_USER_INPUT', `A volume only grows: it has ${volume.size / 2n ** 20n} MiB already.`, { field: 'size' });
      }
      await claimRoom(tx, volume.poolId, BigInt(size) - volume.size, 'size');
      await charge(tx, volume.tenantId, { storage: BigInt(size) - volume.size });
      const after = await holdVolume(tx, volumeOnly(volume), operationId, 'resize');
      const sized = { ...hold, size };
      return { volume: after, steps: held ? planResizeAttached(sized, held) : planResize(sized, await hostForPool(tx, volume.pool)) };
    },
  });

export const attachVolume = (database: Database, context: RequestContext, id: string, vm: string): Promise<Accepted> =>
  change(database, context, id, {
    verb: 'attach',
    permission: 'volume:attach',
    vmFrom: PLUGGABLE,
    async vm(_viewer, tx, volume) {
      const [fact] = await vmFacts(tx, [parseId<VmId>(vm, 'VM')]);
      // a VM of another tenant is not there, also for who sees both
      if (fact?.tenantId !== volume.tenantId) throw new DomainError('NOT_FOUND', 'The tenant of the volume has no VM with this id.', { field: 'vmId' });
      return fact.id as VmId; // brands are added where rows come in
    },
    async begin({ tx, volume, operationId, hold, held }) {
      if (!held) throw new DomainError('INTERNAL', 'A volume is attached to no VM.');
      const { hostId } = held;
      const vmId = held.hold.vmId;
      if (!(await tx.poolHost.findFirst({ where: { poolId: volume.poolId, hostId, state: 'READY' } }))) {
        throw new DomainError('INVALID_STATE', `The volume is in storage pool "${volume.pool.name}", which the host of the VM does not have.`, { field: 'vmId' });
      }
      const after = await holdVolume(tx, volumeOnly(volume), operationId, 'attach', { vmId, target: await freeTarget(tx, vmId) });
      return { volume: after, steps: planAttach(hold, held, { ...after, pool: volume.pool }) };
    },
  });

export const detachVolume = (database: Database, context: RequestContext, id: string): Promise<Accepted> =>
  change(database, context, id, {
    verb: 'detach',
    permission: 'volume:detach',
    vmFrom: PLUGGABLE,
    async begin({ tx, volume, operationId, hold, held }) {
      if (!held) throw new DomainError('INTERNAL', 'A volume that is in use has no VM.');
      const after = await holdVolume(tx, volumeOnly(volume), operationId, 'detach');
      return { volume: after, steps: planDetach(hold, held, volume) };
    },
  });

export const deleteVolume = (database: Database, context: RequestContext, id: string): Promise<Accepted> =>
  change(database, context, id, {
    verb: 'delete',
    permission: 'volume:delete',
    async begin({ tx, volume, operationId, hold }) {
      if (volume.vmId !== null) throw new DomainError('INVALID_STATE', 'The volume is attached to a VM: detach it first.');
      const snapshots = await tx.volumeSnapshot.count({ where: { volumeId: volume.id } });
      if (snapshots > 0) throw new DomainError('INVALID_STATE', `The volume has ${snapshots === 1 ? 'a snapshot: delete it' : `${snapshots} snapshots: delete them`} first.`);
      const after = await holdVolume(tx, volumeOnly(volume), operationId, 'delete');
      return { volume: after, steps: planDelete(hold, await hostForPool(tx, volume.pool)) };
    },
  });

export const snapshotVolume = (database: Database, context: RequestContext, id: string, snapshotName: string): Promise<Accepted> =>
  change(database, context, id, {
    verb: 'snapshot',
    permission: 'volume:snapshot',
    async begin({ tx, volume, operationId, hold }) {
      const name = checkName(snapshotName);
      const known = await tx.volumeSnapshot.findMany({ where: { volumeId: volume.id }, select: { name: true } });
      if (known.some((one) => one.name === name)) throw new DomainError('ALREADY_EXISTS', `The volume has a snapshot named "${name}" already.`, { field: 'name' });
      if (known.length >= LIMITS.snapshots.most) throw new DomainError('INVALID_STATE', `A volume has at most ${LIMITS.snapshots.most} snapshots.`);
      const snapshotId = newId<string>();
      await claimRoom(tx, volume.poolId, volume.size);
      await charge(tx, volume.tenantId, { storage: volume.size, snapshots: 1 });
      const after = await holdVolume(tx, volumeOnly(volume), operationId, 'snapshot');
      await tx.volumeSnapshot.create({ data: { id: snapshotId, volumeId: volume.id, name, size: volume.size, libvirtName: snapshotFile(snapshotId, volume.format) } });
      return { volume: after, steps: planSnapshot({ ...hold, snapshotId }, await hostForPool(tx, volume.pool)) };
    },
  });

export async function deleteVolumeSnapshot(database: Database, context: RequestContext, snapshot: string): Promise<Accepted> {
  requireViewer(context.viewer);
  const snapshotId = parseId<string & VolumeId>(snapshot, 'snapshot');
  const found = await database.volumeSnapshot.findUnique({ where: { id: snapshotId }, include: { volume: true } });
  if (!found) throw new DomainError('NOT_FOUND', 'There is no snapshot with this id.');
  requireInTenant(context.viewer, 'volume:snapshot', found.volume.tenantId, 'snapshot');
  return change(database, context, found.volumeId, {
    verb: 'unsnapshot',
    permission: 'volume:snapshot',
    async begin({ tx, volume, operationId, hold }) {
      const now = await tx.volumeSnapshot.findUnique({ where: { id: snapshotId } });
      if (!now) throw new DomainError('NOT_FOUND', 'There is no snapshot with this id.');
      const hostId = await hostForPool(tx, volume.pool);
      const after = await holdVolume(tx, volumeOnly(volume), operationId, 'unsnapshot');
      await tx.volumeSnapshot.update({ where: { id: snapshotId }, data: { state: 'DELETING' } });
      return { volume: after, steps: planUnsnapshot({ ...hold, snapshotId }, hostId) };
    },
  });
}

/** The row without what was read beside it. */
function volumeOnly({ pool: _pool, ...volume }: VolumeRow & { pool: PoolRow }): VolumeRow {
  return volume;
}
