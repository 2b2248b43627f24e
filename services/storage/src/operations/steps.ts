import { DomainError, type HostId } from '@novacron/core';
import type { PoolRow, VolumeRow } from '../database.ts';
import type { HostStorage } from '../host/host-storage.ts';
import { pathOf, placeOf } from '../host/host-storage.ts';
import { lockAgain, unlock } from '../host/volume-secrets.ts';
import type { VolumeSpec } from '../host/volume-xml.ts';
import { FORMATS, type VolumeFormat } from '../rules.ts';
import type { WorkerContext } from '../worker-context.ts';

/** What a step beside a host works with. */
export interface HostSteps {
  host: HostStorage;
  context: WorkerContext;
}

export type PlacedVolume = VolumeRow & { pool: PoolRow };

/** The volume with its pool, as it is now; it is held by the step's operation, so nobody else changes it. */
export async function placedVolume({ database }: WorkerContext, id: string): Promise<PlacedVolume> {
  const volume = await database.volume.findUnique({ where: { id }, include: { pool: true } });
  if (!volume) throw new DomainError('INTERNAL', 'The volume of this operation has no row.');
  return volume;
}

export const formatOf = (volume: Pick<VolumeRow, 'format'>): VolumeFormat => {
  const format = FORMATS.find((known) => known === volume.format);
  if (!format) throw new DomainError('INTERNAL', 'The volume has a format that this version of NovaCron does not know.');
  return format;
};

export const specOf = (volume: VolumeRow): Omit<VolumeSpec, 'name'> => ({ size: Number(volume.size), format: formatOf(volume), secretId: volume.secretId });

/** Lets libvirt open an encrypted volume. Of one that is not encrypted, nothing is done. */
export async function unlockVolume({ host, context }: HostSteps, volume: PlacedVolume): Promise<void> {
  if (volume.secretId === null) return;
  await unlock(await host.agent.connection(), context.secrets, { secretId: volume.secretId, path: pathOf(placeOf(volume)), volume });
}

export async function lockVolume({ host }: HostSteps, volume: VolumeRow): Promise<void> {
  if (volume.secretId !== null) await lockAgain(await host.agent.connection(), volume.secretId);
}

/** Works on a volume that no VM has, with what opens it; afterwards libvirt forgets that again. */
export async function withVolume<T>(steps: HostSteps, volume: PlacedVolume, work: () => Promise<T>): Promise<T> {
  await unlockVolume(steps, volume);
  try {
    return await work();
  } finally {
    await lockVolume(steps, volume);
  }
}

export const at = (hostId: string): { hostId: HostId } => ({ hostId: hostId as HostId }); // brands are added where rows come in
