import { vmsSteps, type HeldVm } from '@novacron/contracts';
import { DomainError } from '@novacron/core';
import { plan, type PlannedStep, type Step, type StepDeclaration } from '@novacron/operations';
import type { Tx } from '../database.ts';
import { placeOf, sourceOf } from '../host/host-storage.ts';
import { changeVolume, findLockedVolume, releaseVolume } from '../store/volumes.ts';
import { HOLD_VOLUME, type VolumeHold, type VolumeInput } from './hold.ts';
import { at, placedVolume, unlockVolume, withVolume, type HostSteps } from './steps.ts';

interface GrowInput extends VolumeInput {
  /** Bytes. */
  size: number;
  /** A guest runs on it: QEMU grows it in the next step, and this one is there to tell what came of it should that fail. */
  isLive: boolean;
}

/** Before a VM is told. Undo: nothing shrinks; the row says how large the volume has become. */
export const GROW_VOLUME = { name: 'storage.grow-volume', undoable: true } as const satisfies StepDeclaration;
/** The last step: the volume is as large as was asked for, whoever has grown it. */
export const SETTLE_SIZE = { name: 'storage.settle-size', undoable: true } as const satisfies StepDeclaration;

async function grow(steps: HostSteps, input: GrowInput, begin: () => Promise<void>): Promise<void> {
  const { host, context } = steps;
  const volume = await placedVolume(context, input.volumeId);
  const place = placeOf(volume);
  const now = await host.measure(place);
  if (!now) throw new DomainError('NOT_FOUND', 'The volume is gone from its storage pool: it was removed there, not through NovaCron.');
  if (now.capacity >= input.size) return;
  await begin();
  const resize = (): Promise<void> => host.grow(sourceOf(volume, place), input.size);
  // qemu-img opens it; a VM that has it keeps its key on the host
  if (volume.vmId === null) await withVolume(steps, volume, resize);
  else {
    await unlockVolume(steps, volume);
    await resize();
  }
}

const measure = async ({ host, context }: HostSteps, { volumeId }: VolumeInput): Promise<number | null> =>
  (await host.measure(placeOf(await placedVolume(context, volumeId))))?.capacity ?? null;

const keepWhatGrew: NonNullable<Step<Tx, GrowInput, void, number | null>['commitUndo']> = async (tx, { volumeId, size }, capacity, { claim }) => {
  const volume = await findLockedVolume(tx, volumeId);
  if (volume?.operationId !== claim.operationId || capacity === null) return;
  const grown = BigInt(Math.min(capacity, size)); // what a raw volume begins with may say anything: nobody has claimed more
  if (grown > volume.size) await changeVolume(tx, volume, { size: grown });
};

export const growVolumeStep = (steps: HostSteps): Step<Tx, GrowInput, void, number | null> => ({
  ...GROW_VOLUME,
  run: (run, input) => (input.isLive ? Promise.resolve() : grow(steps, input, () => run.begin())),
  undo: (_run, input) => measure(steps, input),
  commitUndo: keepWhatGrew,
});

export const settleSizeStep = (steps: HostSteps): Step<Tx, GrowInput, void, number | null> => ({
  ...SETTLE_SIZE,
  run: (run, input) => grow(steps, input, () => run.begin()),
  async commit(tx, { volumeId, size }, _output, { claim }) {
    await releaseVolume(tx, volumeId, claim.operationId, { size: BigInt(size) });
  },
  undo: (_run, input) => measure(steps, input),
  commitUndo: keepWhatGrew,
});

export const planResize = (hold: VolumeHold & { size: number }, hostId: string): PlannedStep[] => [
  plan(HOLD_VOLUME, hold, { done: true }),
  plan(SETTLE_SIZE, { volumeId: hold.volumeId, size: hold.size, isLive: false }, at(hostId)),
];

/** Of a volume that a VM has: the guest learns of it, if it runs. */
export function planResizeAttached(hold: VolumeHold & { size: number }, { hold: vm, hostId, state }: HeldVm): PlannedStep[] {
  const { volumeId, size } = hold;
  const isLive = state !== 'STOPPED' && state !== 'CRASHED';
  return [
    plan(vmsSteps.HOLD, vm, { done: true }),
    plan(HOLD_VOLUME, hold, { done: true }),
    plan(GROW_VOLUME, { volumeId, size, isLive }, { hostId }),
    plan(vmsSteps.RESIZE_DISK, { vmId: vm.vmId, deviceId: volumeId, size }, { hostId }),
    plan(SETTLE_SIZE, { volumeId, size, isLive }, { hostId }),
  ];
}
