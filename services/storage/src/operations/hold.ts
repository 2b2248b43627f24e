import type { StepDeclaration } from '@novacron/contracts';
import type { OperationId, VolumeId } from '@novacron/core';
import type { Step } from '@novacron/operations';
import type { Tx } from '../database.ts';
import type { VolumeVerb } from '../rules.ts';
import { charge, claimRoom } from '../store/claims.ts';
import { buryVolumes, changeVolume, findLockedVolume } from '../store/volumes.ts';

export interface VolumeInput {
  volumeId: VolumeId;
}

export interface VolumeHold extends VolumeInput {
  operationId: OperationId;
  verb: VolumeVerb;
  /** Of a resize: bytes that were asked for, and claimed. */
  size?: number;
  /** Of a snapshot, made or deleted. */
  snapshotId?: string;
}

/**
 * The first step of every operation on a volume, done by the mutation's own transaction: the volume is held, or made, and
 * room is claimed, and its tenant charged. Its undo is the last thing that happens to the volume when the operation fails or is cancelled.
 */
export const HOLD_VOLUME = { name: 'storage.hold-volume', undoable: true } as const satisfies StepDeclaration;

const nothing = (): Promise<void> => Promise.resolve();

export const holdVolumeStep: Step<Tx, VolumeHold, void, void> = {
  ...HOLD_VOLUME,
  run: nothing, // the mutation did it
  undo: nothing, // all of it is in the database
  async commitUndo(tx, { volumeId, operationId, verb, size, snapshotId }) {
    const volume = await findLockedVolume(tx, volumeId);
    if (volume?.operationId !== operationId) return; // let go of already
    if (verb === 'create') return buryVolumes(tx, [volume]);
    // a resize may have come further than its operation: what the volume has grown by stays claimed
    if (verb === 'resize' && size !== undefined) {
      await claimRoom(tx, volume.poolId, volume.size - BigInt(size));
      await charge(tx, volume.tenantId, { storage: volume.size - BigInt(size) });
    }
    if (verb === 'snapshot' && snapshotId !== undefined) {
      const snapshot = await tx.volumeSnapshot.delete({ where: { id: snapshotId } });
      await claimRoom(tx, volume.poolId, -snapshot.size);
      await charge(tx, volume.tenantId, { storage: -snapshot.size, snapshots: -1 });
    }
    if (verb === 'unsnapshot' && snapshotId !== undefined) await tx.volumeSnapshot.updateMany({ where: { id: snapshotId }, data: { state: 'AVAILABLE' } }); // unless it is gone
    await changeVolume(tx, volume, {
      operationId: null,
      operationVerb: null,
      ...(verb === 'attach' ? { vmId: null, target: null } : {}),
    });
  },
};
