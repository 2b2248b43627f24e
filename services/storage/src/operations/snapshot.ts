import { plan, type PlannedStep, type Step, type StepDeclaration } from '@novacron/operations';
import type { PoolRow, SnapshotRow, Tx } from '../database.ts';
import { placeOf, sourceOf, type Place } from '../host/host-storage.ts';
import { charge, claimRoom } from '../store/claims.ts';
import { findLockedVolume, releaseVolume } from '../store/volumes.ts';
import { HOLD_VOLUME, type VolumeHold, type VolumeInput } from './hold.ts';
import { ACTED, at, locksOf, placedVolume, specOf, withVolume, type Acted, type HostSteps } from './steps.ts';

export interface SnapshotInput extends VolumeInput {
  snapshotId: string;
}

export const MAKE_SNAPSHOT = { name: 'storage.make-snapshot', undoable: true } as const satisfies StepDeclaration;
/** Undo: what is gone has no row any more. */
export const DELETE_SNAPSHOT = { name: 'storage.delete-snapshot', undoable: true, final: true } as const satisfies StepDeclaration;

/** A snapshot's file, which lies beside its volume's. */
export const snapshotPlace = (snapshot: Pick<SnapshotRow, 'libvirtName'>, volume: { pool: PoolRow }): Place => ({ pool: volume.pool, libvirtName: snapshot.libvirtName });

/**
 * A full copy, with the volume's own key. For libvirt it is a secret of its own: one has one use, and a volume that libvirt has made
 * is opened with the secret that it was made with, until libvirt reads it again and looks for one that is for its file.
 */
export const makeSnapshotStep = (steps: HostSteps): Step<Tx, SnapshotInput, Acted, void> => ({
  ...MAKE_SNAPSHOT,
  async run(run, { volumeId, snapshotId }) {
    const volume = await placedVolume(steps.context, volumeId);
    const snapshot = await steps.context.database.volumeSnapshot.findUniqueOrThrow({ where: { id: snapshotId } });
    const place = snapshotPlace(snapshot, volume);
    const spec = { ...specOf(volume), secretId: volume.secretId === null ? null : snapshotId };
    await run.begin();
    const copy = (): Promise<void> => steps.host.make(place, spec, { from: sourceOf(volume, placeOf(volume)), signal: run.signal });
    await withVolume(steps, volume, copy, locksOf(volume, place, snapshotId));
    return ACTED;
  },
  async commit(tx, { volumeId, snapshotId }, _output, { claim }) {
    await tx.volumeSnapshot.update({ where: { id: snapshotId }, data: { state: 'AVAILABLE' } });
    await releaseVolume(tx, volumeId, claim.operationId);
  },
  async undo(run, { volumeId, snapshotId }) {
    if (run.claim.output === null) return; // it only looked
    const volume = await placedVolume(steps.context, volumeId);
    const snapshot = await steps.context.database.volumeSnapshot.findUniqueOrThrow({ where: { id: snapshotId } });
    await steps.host.remove(snapshotPlace(snapshot, volume));
  },
});

export const deleteSnapshotStep = (steps: HostSteps): Step<Tx, SnapshotInput, void, { isGone: boolean }> => ({
  ...DELETE_SNAPSHOT,
  async run(_run, { volumeId, snapshotId }) {
    const volume = await placedVolume(steps.context, volumeId);
    const snapshot = await steps.context.database.volumeSnapshot.findUniqueOrThrow({ where: { id: snapshotId } });
    await steps.host.remove(snapshotPlace(snapshot, volume));
  },
  async commit(tx, { volumeId, snapshotId }, _output, { claim }) {
    await forgetSnapshot(tx, volumeId, snapshotId);
    await releaseVolume(tx, volumeId, claim.operationId);
  },
  async undo(_run, { volumeId, snapshotId }) {
    const volume = await placedVolume(steps.context, volumeId);
    const snapshot = await steps.context.database.volumeSnapshot.findUnique({ where: { id: snapshotId } });
    return { isGone: snapshot !== null && (await steps.host.measure(snapshotPlace(snapshot, volume))) === null };
  },
  async commitUndo(tx, { volumeId, snapshotId }, { isGone }) {
    if (isGone) await forgetSnapshot(tx, volumeId, snapshotId);
  },
});

async function forgetSnapshot(tx: Tx, volumeId: string, snapshotId: string): Promise<void> {
  const volume = await findLockedVolume(tx, volumeId);
  if (!volume) return;
  const { size } = await tx.volumeSnapshot.delete({ where: { id: snapshotId } });
  await claimRoom(tx, volume.poolId, -size);
  await charge(tx, volume.tenantId, { storage: -size, snapshots: -1 });
}

const planWith =
  (step: StepDeclaration) =>
  (hold: VolumeHold, hostId: string): PlannedStep[] => [
    plan(HOLD_VOLUME, hold, { done: true }),
    plan(step, { volumeId: hold.volumeId, snapshotId: hold.snapshotId }, at(hostId)),
  ];

export const planSnapshot = planWith(MAKE_SNAPSHOT);
export const planUnsnapshot = planWith(DELETE_SNAPSHOT);
