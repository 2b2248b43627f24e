import { vmsSteps, type DiskDevice, type HeldVm } from '@novacron/contracts';
import type { HostId, VolumeId } from '@novacron/core';
import { plan, type PlannedStep, type Step, type StepDeclaration } from '@novacron/operations';
import type { PoolRow, Tx, VolumeRow } from '../database.ts';
import { libvirtPoolName } from '../rules.ts';
import { releaseVolume } from '../store/volumes.ts';
import { HOLD_VOLUME, type VolumeHold, type VolumeInput } from './hold.ts';
import { ACTED, formatOf, lockVolume, placedVolume, unlockVolume, type Acted, type HostSteps } from './steps.ts';

/** The VM's host sees it, and has what opens it. */
export const UNLOCK_VOLUME = { name: 'storage.unlock-volume', undoable: true } as const satisfies StepDeclaration;
/** The last step: the volume is its VM's. */
export const SETTLE_ATTACHED = { name: 'storage.settle-attached', undoable: false } as const satisfies StepDeclaration;
/** What opens it is gone from the host that it was attached on. */
export const LOCK_VOLUME = { name: 'storage.lock-volume', undoable: false } as const satisfies StepDeclaration;
/** The last step: the volume is nobody's. */
export const SETTLE_DETACHED = { name: 'storage.settle-detached', undoable: false } as const satisfies StepDeclaration;

export const unlockVolumeStep = (steps: HostSteps): Step<Tx, VolumeInput, Acted, void> => ({
  ...UNLOCK_VOLUME,
  async run(run, { volumeId }) {
    const volume = await placedVolume(steps.context, volumeId);
    await run.begin();
    await unlockVolume(steps, volume);
    return ACTED;
  },
  async undo(run, { volumeId }) {
    if (run.claim.output !== null) await lockVolume(steps, await placedVolume(steps.context, volumeId));
  },
});

export const lockVolumeStep = (steps: HostSteps): Step<Tx, VolumeInput, void, void> => ({
  ...LOCK_VOLUME,
  run: async (_run, { volumeId }) => lockVolume(steps, await placedVolume(steps.context, volumeId)),
});

const nothing = (): Promise<void> => Promise.resolve();

export const settleAttachedStep: Step<Tx, VolumeInput, void, void> = {
  ...SETTLE_ATTACHED,
  run: nothing,
  async commit(tx, { volumeId }, _output, { claim }) {
    await releaseVolume(tx, volumeId, claim.operationId);
  },
};

export const settleDetachedStep: Step<Tx, VolumeInput, void, void> = {
  ...SETTLE_DETACHED,
  run: nothing,
  async commit(tx, { volumeId }, _output, { claim }) {
    await releaseVolume(tx, volumeId, claim.operationId, { vmId: null, target: null, bootOrder: null, ownedByVm: false });
  },
};

/** A volume as its VM's domain has it. */
export const diskDevice = (volume: VolumeRow & { pool: PoolRow }): DiskDevice => ({
  kind: 'disk',
  id: volume.id as VolumeId, // brands are added where rows come in
  target: volume.target ?? '',
  pool: libvirtPoolName(volume.pool.name),
  volume: volume.libvirtName,
  format: formatOf(volume),
  bootOrder: volume.bootOrder,
  readOnly: false,
  secretId: volume.secretId,
});

export const planAttach = (hold: VolumeHold, { hold: vm, hostId }: HeldVm, volume: VolumeRow & { pool: PoolRow }): PlannedStep[] => [
  plan(vmsSteps.HOLD, vm, { done: true }),
  plan(HOLD_VOLUME, hold, { done: true }),
  ...(volume.secretId === null && !volume.pool.shared ? [] : [plan(UNLOCK_VOLUME, { volumeId: hold.volumeId }, { hostId })]),
  // Once it is recorded the VM is free for others, so there is no way back.
  plan({ ...vmsSteps.ATTACH_DEVICE, settles: true }, { vmId: vm.vmId, device: diskDevice(volume) }, { hostId }),
  plan(SETTLE_ATTACHED, { volumeId: hold.volumeId }),
];

export const planDetach = (hold: VolumeHold, { hold: vm, hostId }: HeldVm & { hostId: HostId }, volume: VolumeRow): PlannedStep[] => [
  plan(vmsSteps.HOLD, vm, { done: true }),
  plan(HOLD_VOLUME, hold, { done: true }),
  plan(vmsSteps.DETACH_DEVICE, { vmId: vm.vmId, deviceId: hold.volumeId }, { hostId }),
  ...(volume.secretId === null ? [] : [plan(LOCK_VOLUME, { volumeId: hold.volumeId }, { hostId })]),
  plan(SETTLE_DETACHED, { volumeId: hold.volumeId }),
];
