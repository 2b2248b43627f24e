import { storageSteps } from '@novacron/contracts';
import { DomainError, type MigrationId, type VmId } from '@novacron/core';
import type { Step } from '@novacron/operations';
import type { PoolRow, SeedRow, Tx } from '../database.ts';
import { pathOf, placeOf, type Place } from '../host/host-storage.ts';
import { unlock } from '../host/volume-secrets.ts';
import { seedPlace, writeSeed } from '../seed/write-seed.ts';
import { claimRoom } from '../store/claims.ts';
import { changeVolume, lockVolumesOf } from '../store/volumes.ts';
import { abandonVolumes, copyVolumes, type CopySource, type VolumeToCopy } from './copy-volumes.ts';
import { lockAll, volumesOf } from './disks.ts';
import { ACTED, specOf, type Acted, type HostSteps, type PlacedVolume } from './steps.ts';

/*
 * What a migration needs of storage. storage.hold_migration (prisma/storage) has claimed room on the target for what is not shared:
 * the rows with a target pool. Pool and volume keep their names, so the domain's definition stays as it is.
 */

interface MigrationInput {
  vmId: VmId;
  migrationId: MigrationId;
}

interface MigrateInInput extends MigrationInput {
  copyFrom: CopySource | null;
}

interface MigrateOutInput extends MigrationInput {
  asTheyWere: boolean;
}

const nothing = (): Promise<void> => Promise.resolve();

export const holdMigrationStep: Step<Tx, MigrationInput, void, void> = {
  ...storageSteps.HOLD_MIGRATION,
  run: nothing, // the mutation did it
  undo: nothing, // all of it is in the database
  async commitUndo(tx, { vmId }) {
    for (const volume of await lockVolumesOf(tx, vmId)) {
      if (volume.targetPoolId === null) continue;
      await claimRoom(tx, volume.targetPoolId, -volume.size);
      await changeVolume(tx, volume, { targetPoolId: null });
    }
    const seed = await tx.seed.findUnique({ where: { vmId } });
    if (seed === null || seed.targetPoolId === null) return;
    await claimRoom(tx, seed.targetPoolId, -seed.size);
    await tx.seed.update({ where: { vmId }, data: { targetPoolId: null } });
  },
};

/** Where a volume is to be on the target. */
async function targetPlace({ context }: HostSteps, volume: PlacedVolume): Promise<Place> {
  if (volume.targetPoolId === null) return placeOf(volume);
  return { pool: await context.database.pool.findUniqueOrThrow({ where: { id: volume.targetPoolId } }), libvirtName: volume.libvirtName };
}

/** The volumes that the hosts do not share. */
async function volumesToCopy(steps: HostSteps, vmId: VmId): Promise<VolumeToCopy[]> {
  const volumes = await volumesOf(steps, vmId);
  return Promise.all(volumes.flatMap((volume) => (volume.targetPoolId === null ? [] : [placed(volume, volume.targetPoolId)])));

  async function placed(volume: PlacedVolume, targetPoolId: string): Promise<VolumeToCopy> {
    return { volume, targetPoolId, place: await targetPlace(steps, volume) };
  }
}

const movingSeed = async ({ context }: HostSteps, vmId: VmId): Promise<(SeedRow & { target: PoolRow }) | null> => {
  const seed = await context.database.seed.findUnique({ where: { vmId } });
  if (seed === null || seed.targetPoolId === null) return null;
  return { ...seed, target: await context.database.pool.findUniqueOrThrow({ where: { id: seed.targetPoolId } }) };
};

export const migrateInStep = (steps: HostSteps): Step<Tx, MigrateInInput, Acted, void> => ({
  ...storageSteps.MIGRATE_IN,
  async run(run, { vmId, migrationId, copyFrom }) {
    const { host, context } = steps;
    const connection = await host.agent.connection();
    await run.begin();
    for (const volume of await volumesOf(steps, vmId)) {
      const place = await targetPlace(steps, volume);
      if (volume.secretId !== null) await unlock(connection, context.secrets, { secretId: volume.secretId, path: pathOf(place), volume });
      if (volume.targetPoolId !== null && copyFrom) continue;
      // libvirt fills it; it stands alone, whatever the source stands on
      if (volume.targetPoolId !== null) await host.make(place, specOf(volume), { signal: run.signal });
      else if (!(await host.find(connection, place))) {
        throw new DomainError('INVALID_STATE', `Host "${host.agent.host.name}" does not see volume "${volume.name}" in storage pool "${volume.pool.name}".`, { field: 'hostId' });
      }
    }
    if (copyFrom) await copyVolumes(steps, run, { vmId, migrationId }, await volumesToCopy(steps, vmId), copyFrom);
    const seed = await movingSeed(steps, vmId);
    if (seed) await writeSeed(steps, run, vmId, seed.target.id);
    return ACTED;
  },
  async undo(run, { vmId }) {
    if (run.claim.output === null) return; // it only looked
    const { host } = steps;
    await abandonVolumes(steps, run, await volumesToCopy(steps, vmId));
    const seed = await movingSeed(steps, vmId);
    if (seed) await host.remove({ pool: seed.target, libvirtName: seed.libvirtName });
    await lockAll(steps, vmId);
  },
});

export const migrateOutStep = (steps: HostSteps): Step<Tx, MigrateOutInput, void, void> => ({
  ...storageSteps.MIGRATE_OUT,
  async run(_run, { vmId }) {
    const { host } = steps;
    for (const volume of await volumesOf(steps, vmId)) {
      if (volume.targetPoolId !== null) await host.remove(placeOf(volume));
    }
    const seed = (await movingSeed(steps, vmId)) && (await seedPlace(steps, vmId));
    if (seed) await host.remove(seed);
    await lockAll(steps, vmId);
  },
  async commit(tx, { vmId, asTheyWere }) {
    for (const volume of await lockVolumesOf(tx, vmId)) {
      if (volume.targetPoolId === null) continue;
      await claimRoom(tx, volume.poolId, -volume.size);
      await changeVolume(tx, volume, { poolId: volume.targetPoolId, targetPoolId: null, ...(asTheyWere ? {} : { imageId: null }) });
    }
    const seed = await tx.seed.findUnique({ where: { vmId } });
    if (seed === null || seed.targetPoolId === null) return;
    await claimRoom(tx, seed.poolId, -seed.size);
    await tx.seed.update({ where: { vmId }, data: { poolId: seed.targetPoolId, targetPoolId: null } });
  },
});
