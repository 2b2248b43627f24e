import { plan, type PlannedStep, type Step, type StepDeclaration } from '@novacron/operations';
import type { Tx } from '../database.ts';
import { placeOf, sourceOf } from '../host/host-storage.ts';
import { releaseVolume } from '../store/volumes.ts';
import { HOLD_VOLUME, type VolumeHold, type VolumeInput } from './hold.ts';
import { at, locksOf, lockVolume, placedVolume, specOf, withVolume, type HostSteps } from './steps.ts';
import { snapshotPlace } from './snapshot.ts';

interface MakeVolumeInput extends VolumeInput {
  /** With what is in this snapshot, of another volume in the same pool. */
  snapshotId: string | null;
}

export const MAKE_VOLUME = { name: 'storage.make-volume', undoable: true } as const satisfies StepDeclaration;

/** Makes the volume in its pool. One that is there already is what a try that was cut off has left: it is made anew. */
export const makeVolumeStep = (steps: HostSteps): Step<Tx, MakeVolumeInput, { allocated: number | null }, void> => ({
  ...MAKE_VOLUME,
  async run(run, { volumeId, snapshotId }) {
    const { host, context } = steps;
    const volume = await placedVolume(context, volumeId);
    const place = placeOf(volume);
    await run.begin();
    if (snapshotId === null) {
      await withVolume(steps, volume, () => host.make(place, specOf(volume), { signal: run.signal }));
    } else {
      const snapshot = await context.database.volumeSnapshot.findUniqueOrThrow({ where: { id: snapshotId }, include: { volume: { include: { pool: true } } } });
      const from = snapshotPlace(snapshot, snapshot.volume);
      await withVolume(steps, volume, () => host.make(place, specOf(volume), { from: sourceOf(snapshot.volume, from), signal: run.signal }), locksOf(snapshot.volume, from, snapshot.id));
    }
    return { allocated: (await host.measure(place))?.allocation ?? null };
  },
  async commit(tx, { volumeId }, { allocated }, { claim }) {
    await releaseVolume(tx, volumeId, claim.operationId, { allocated: allocated === null ? null : BigInt(allocated) });
  },
  async undo(run, { volumeId }) {
    if (run.claim.output === null) return; // it only looked
    const volume = await placedVolume(steps.context, volumeId);
    await steps.host.remove(placeOf(volume));
    await lockVolume(steps, volume);
  },
});

export const planCreate = (hold: VolumeHold, hostId: string): PlannedStep[] => [
  plan(HOLD_VOLUME, hold, { done: true }),
  plan(MAKE_VOLUME, { volumeId: hold.volumeId, snapshotId: hold.snapshotId ?? null }, at(hostId)),
];
