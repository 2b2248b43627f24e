import { storageSteps } from '@novacron/contracts';
import { DomainError, type ImageId, type VmId } from '@novacron/core';
import type { Step } from '@novacron/operations';
import type { Tx, VolumeRow } from '../database.ts';
import { pathOf, placeOf } from '../host/host-storage.ts';
import { abandonImageCopy, ensureImageCopy } from '../images/copy.ts';
import { seedPlace, writeSeed } from '../seed/write-seed.ts';
import { claimRoom } from '../store/claims.ts';
import { buryVolumes, changeVolume, lockVolumesOf, releaseVolume } from '../store/volumes.ts';
import { lockVolume, specOf, unlockVolume, type HostSteps, type PlacedVolume } from './steps.ts';

/*
 * A VM's disks, for the operations of vms: held by storage.hold_disks (prisma/storage) in createVm's own transaction, made
 * on the host, and gone with the VM.
 */

interface DisksInput {
  vmId: VmId;
}

const nothing = (): Promise<void> => Promise.resolve();
const FREED = { vmId: null, target: null, bootOrder: null, ownedByVm: false } as const;

export const volumesOf = ({ context }: HostSteps, vmId: VmId): Promise<PlacedVolume[]> =>
  context.database.volume.findMany({ where: { vmId, deletedAt: null }, include: { pool: true }, orderBy: { target: 'asc' } });

export const unlockAll = async (steps: HostSteps, vmId: VmId): Promise<void> => {
  for (const volume of await volumesOf(steps, vmId)) await unlockVolume(steps, volume);
};

export const lockAll = async (steps: HostSteps, vmId: VmId): Promise<void> => {
  for (const volume of await volumesOf(steps, vmId)) await lockVolume(steps, volume);
};

async function removeSeed(steps: HostSteps, vmId: VmId): Promise<void> {
  const place = await seedPlace(steps, vmId);
  if (place) await steps.host.remove(place);
}

async function forgetSeed(tx: Tx, vmId: VmId): Promise<void> {
  const seed = await tx.seed.findUnique({ where: { vmId } });
  if (!seed) return;
  await tx.seed.delete({ where: { vmId } });
  await claimRoom(tx, seed.poolId, -seed.size);
  if (seed.targetPoolId !== null) await claimRoom(tx, seed.targetPoolId, -seed.size);
}

/** The VM has no disks any more: some of them go with it, the others are free. */
async function letDisksGo(tx: Tx, vmId: VmId, goes: (volume: VolumeRow) => boolean): Promise<void> {
  const volumes = await lockVolumesOf(tx, vmId);
  for (const volume of volumes.filter((one) => !goes(one))) await changeVolume(tx, volume, FREED);
  await forgetSeed(tx, vmId);
  await buryVolumes(tx, volumes.filter(goes));
}

export const holdDisksStep: Step<Tx, DisksInput, void, void> = {
  ...storageSteps.HOLD_DISKS,
  run: nothing, // the mutation did it
  undo: nothing, // all of it is in the database
  async commitUndo(tx, { vmId }) {
    await letDisksGo(tx, vmId, ({ ownedByVm }) => ownedByVm);
  },
};

export const makeDisksStep = (steps: HostSteps): Step<Tx, DisksInput, { allocated: Record<string, number> }, void> => ({
  ...storageSteps.MAKE_DISKS,
  async run(run, { vmId }) {
    const { host } = steps;
    const volumes = await volumesOf(steps, vmId);
    const allocated: Record<string, number> = {};
    await run.begin();
    for (const volume of volumes) {
      if (!volume.ownedByVm) continue;
      allocated[volume.id] = await makeBootDisk(volume);
    }
    await writeSeed(steps, run, vmId);
    await unlockAll(steps, vmId);
    return { allocated };

    async function makeBootDisk(volume: PlacedVolume): Promise<number> {
      if (volume.imageId === null) throw new DomainError('INTERNAL', 'A boot disk has no image to stand on.');
      const copy = await ensureImageCopy(steps, run, volume.imageId as ImageId, volume.poolId); // brands are added where rows come in
      const place = placeOf(volume);
      await host.make(place, { ...specOf(volume), backing: { path: pathOf(copy), format: copy.format } }, { signal: run.signal });
      return (await host.measure(place))?.allocation ?? 0;
    }
  },
  async commit(tx, _input, { allocated }, { claim }) {
    for (const [id, bytes] of Object.entries(allocated)) await releaseVolume(tx, id, claim.operationId, { allocated: BigInt(bytes) });
  },
  async undo(run, { vmId }) {
    if (run.claim.output === null) return; // it only looked
    for (const volume of await volumesOf(steps, vmId)) {
      if (volume.ownedByVm) await steps.host.remove(placeOf(volume));
      if (volume.ownedByVm && volume.imageId !== null) await abandonImageCopy(steps, volume.imageId, volume.poolId, run.claim.operationId);
      await lockVolume(steps, volume);
    }
    await removeSeed(steps, vmId);
  },
});

export const unlockDisksStep = (steps: HostSteps): Step<Tx, DisksInput, void, void> => ({
  ...storageSteps.UNLOCK_DISKS,
  run: (_run, { vmId }) => unlockAll(steps, vmId),
});

export const dropDisksStep = (steps: HostSteps): Step<Tx, DisksInput & { keepVolumes: boolean }, void, void> => ({
  ...storageSteps.DROP_DISKS,
  async run(_run, { vmId, keepVolumes }) {
    const volumes = await volumesOf(steps, vmId);
    // the VM is held, so nothing new begins on them; what let go of the VM before its own end comes to that by itself
    const busy = volumes.find(({ operationVerb }) => operationVerb !== null);
    if (busy) throw new DomainError('UNAVAILABLE', `Volume "${busy.name}" is busy: another operation on it (${busy.operationVerb}) is under way.`);
    for (const volume of volumes) {
      if (volume.ownedByVm && !keepVolumes) await steps.host.remove(placeOf(volume));
      await lockVolume(steps, volume);
    }
    await removeSeed(steps, vmId);
  },
  async commit(tx, { vmId, keepVolumes }) {
    await letDisksGo(tx, vmId, ({ ownedByVm }) => ownedByVm && !keepVolumes);
  },
});
