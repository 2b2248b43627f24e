import { DomainError, type OperationId, type VmId } from '@novacron/core';
import { columnsOf } from '@novacron/database';
import type { Tx, VolumeRow } from '../database.ts';
import { Prisma } from '../generated/prisma/client.ts';
import { stateOf, type VolumeVerb } from '../rules.ts';
import { charge, claimRoom } from './claims.ts';

const COLUMNS = columnsOf(Prisma.VolumeScalarFieldEnum);

/** The row, locked until the transaction ends (Prisma has no FOR UPDATE); null when there is none, or none that lives. */
export async function findLockedVolume(tx: Tx, id: string): Promise<VolumeRow | null> {
  const [volume] = await tx.$queryRaw<VolumeRow[]>`SELECT ${COLUMNS} FROM volume WHERE id = ${id}::uuid FOR UPDATE`;
  return volume && !volume.deletedAt ? volume : null;
}

/** The living volumes of a VM, locked, in the order of their ids. */
export const lockVolumesOf = (tx: Tx, vmId: VmId): Promise<VolumeRow[]> =>
  tx.$queryRaw<VolumeRow[]>`SELECT ${COLUMNS} FROM volume WHERE vm_id = ${vmId}::uuid AND deleted_at IS NULL ORDER BY id FOR UPDATE`;

/** The problem of a volume whose file is not there. */
export const GONE = 'The volume is gone from its storage pool.';

type Change = Partial<Omit<VolumeRow, 'id' | 'state' | 'generation' | 'createdAt'>>;

const shown = (volume: VolumeRow): string =>
  JSON.stringify([volume.name, volume.state, volume.problem, String(volume.size), volume.poolId, volume.vmId, volume.target, volume.deletedAt]);

/** Writes a change of a locked volume. Its state follows from the rest; where that shows, the generation grows. */
export async function changeVolume(tx: Tx, before: VolumeRow, change: Change): Promise<VolumeRow> {
  const next = { ...before, ...change };
  const state = stateOf(next);
  const generation = before.generation + (shown({ ...next, state }) === shown(before) ? 0 : 1);
  return tx.volume.update({ where: { id: before.id }, data: { ...change, state, generation } as Prisma.VolumeUncheckedUpdateInput }); // its columns, as they are
}

/** Takes a volume for an operation. */
export const holdVolume = (tx: Tx, volume: VolumeRow, operationId: OperationId, verb: VolumeVerb, change: Change = {}): Promise<VolumeRow> =>
  changeVolume(tx, volume, { ...change, operationId, operationVerb: verb, problem: null });

/** Lets go of a volume, if this operation still holds it. */
export async function releaseVolume(tx: Tx, id: string, operationId: string, change: Change = {}): Promise<VolumeRow | null> {
  const volume = await findLockedVolume(tx, id);
  return volume?.operationId === operationId ? changeVolume(tx, volume, { ...change, operationId: null, operationVerb: null }) : null;
}

/** Nothing of these volumes of one tenant is left: their names, their room and what was charged for them are free. The rows stay for who still asks. */
export async function buryVolumes(tx: Tx, volumes: readonly VolumeRow[]): Promise<void> {
  const [first] = volumes;
  if (first === undefined) return;
  for (const volume of volumes) await bury(tx, volume);
  await charge(tx, first.tenantId, { storage: -volumes.reduce((bytes, { size }) => bytes + size, 0n) });
}

async function bury(tx: Tx, volume: VolumeRow): Promise<void> {
  await changeVolume(tx, volume, {
    deletedAt: new Date(),
    liveName: null,
    operationId: null,
    operationVerb: null,
    vmId: null,
    target: null,
    bootOrder: null,
    passphrase: null,
    keyId: null,
    imageId: null,
    targetPoolId: null,
  });
  await claimRoom(tx, volume.poolId, -volume.size);
  if (volume.targetPoolId !== null) await claimRoom(tx, volume.targetPoolId, -volume.size);
}

/** What a VM finds its next disk as. INVALID_STATE when it can have no more. */
export async function freeTarget(tx: Tx, vmId: VmId): Promise<string> {
  const taken = new Set((await tx.volume.findMany({ where: { vmId }, select: { target: true } })).map(({ target }) => target));
  // vdz is for the seed
  const free = [...'abcdefghijklmnopqrstuvwxy'].map((letter) => `vd${letter}`).find((target) => !taken.has(target));
  if (free === undefined) throw new DomainError('INVALID_STATE', 'The VM has as many volumes as it can have.', { field: 'vmId' });
  return free;
}
