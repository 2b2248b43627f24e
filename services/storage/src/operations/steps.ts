import { DomainError, type HostId } from '@novacron/core';
import type { PoolRow, VolumeRow } from '../database.ts';
import { pathOf, placeOf, type HostStorage, type Place } from '../host/host-storage.ts';
import { lockAgain, unlock, withUnlocked, type Lock } from '../host/volume-secrets.ts';
import type { VolumeSpec } from '../host/volume-xml.ts';
import { FORMATS, type VolumeFormat } from '../rules.ts';
import type { WorkerContext } from '../worker-context.ts';

/** What a step beside a host works with. */
export interface HostSteps {
  host: HostStorage;
  context: WorkerContext;
}

/** What a step answers that has nothing else to say: an undo takes no output for a step that has not acted. */
export const ACTED = { acted: true } as const;
export type Acted = typeof ACTED;

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

/** Sees to it that the host's libvirt knows a volume that another host may have made, and can open one that is encrypted. */
export async function unlockVolume({ host, context }: HostSteps, volume: PlacedVolume): Promise<void> {
  const connection = await host.agent.connection();
  const place = placeOf(volume);
  if (volume.pool.shared && !(await host.find(connection, place))) {
    throw new DomainError('NOT_FOUND', `Host "${host.agent.host.name}" does not see volume "${volume.name}" in storage pool "${volume.pool.name}".`);
  }
  for (const lock of locksOf(volume, place)) await unlock(connection, context.secrets, lock);
}

export async function lockVolume({ host }: HostSteps, volume: VolumeRow): Promise<void> {
  if (volume.secretId !== null) await lockAgain(await host.agent.connection(), volume.secretId);
}

/** What opens a file of an encrypted volume; nothing where it is not encrypted. */
export const locksOf = (volume: VolumeRow, file: Place, secretId = volume.secretId): Lock[] =>
  volume.secretId === null || secretId === null ? [] : [{ secretId, path: pathOf(file), volume }];

/** Works on a volume that no VM has, with what opens it and more; afterwards libvirt forgets that again. */
export const withVolume = <T>({ host, context }: HostSteps, volume: PlacedVolume, work: () => Promise<T>, more: readonly Lock[] = []): Promise<T> =>
  withUnlocked(host.agent, context.secrets, [...locksOf(volume, placeOf(volume)), ...more], work);

export const at = (hostId: string): { hostId: HostId } => ({ hostId: hostId as HostId }); // brands are added where rows come in
