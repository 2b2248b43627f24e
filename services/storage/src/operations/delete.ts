import { plan, type PlannedStep, type Step, type StepDeclaration } from '@novacron/operations';
import type { Tx } from '../database.ts';
import { placeOf } from '../host/host-storage.ts';
import { buryVolumes, changeVolume, findLockedVolume, GONE } from '../store/volumes.ts';
import { HOLD_VOLUME, type VolumeHold, type VolumeInput } from './hold.ts';
import { at, lockVolume, placedVolume, type HostSteps } from './steps.ts';

/** The point of no return: what is deleted does not come back by cancelling. Undo: the row says so. */
export const DELETE_VOLUME = { name: 'storage.delete-volume', undoable: true, final: true } as const satisfies StepDeclaration;

/** Nothing of the volume stays in its pool; its name, its room and the key to it go with the record of it. */
export const deleteVolumeStep = (steps: HostSteps): Step<Tx, VolumeInput, void, { isGone: boolean }> => ({
  ...DELETE_VOLUME,
  async run(_run, { volumeId }) {
    const volume = await placedVolume(steps.context, volumeId);
    await steps.host.remove(placeOf(volume));
    await lockVolume(steps, volume);
  },
  async commit(tx, { volumeId }) {
    const volume = await findLockedVolume(tx, volumeId);
    if (volume) await buryVolumes(tx, [volume]);
  },
  async undo(_run, { volumeId }) {
    return { isGone: (await steps.host.measure(placeOf(await placedVolume(steps.context, volumeId)))) === null };
  },
  async commitUndo(tx, { volumeId }, { isGone }) {
    const volume = await findLockedVolume(tx, volumeId);
    if (volume && isGone) await changeVolume(tx, volume, { problem: GONE });
  },
});

export const planDelete = (hold: VolumeHold, hostId: string): PlannedStep[] => [
  plan(HOLD_VOLUME, hold, { done: true }),
  plan(DELETE_VOLUME, { volumeId: hold.volumeId }, at(hostId)),
];
