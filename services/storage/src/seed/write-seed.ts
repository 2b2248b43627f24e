import { finished } from 'node:stream/promises';
import type { CloudInit } from '@novacron/contracts';
import { DomainError, type VmId } from '@novacron/core';
import type { StepRun } from '@novacron/operations';
import type { SeedRow } from '../database.ts';
import type { Place } from '../host/host-storage.ts';
import type { HostSteps } from '../operations/steps.ts';
import { seedImage } from './nocloud.ts';

/** What a seed is sealed for, by whoever makes its row. */
const contextOf = (vmId: string): string => `seed:${vmId}`;

/** Where a VM's seed is, or is to be, in that pool where one is named; null: it has none. */
export async function seedPlace({ context }: HostSteps, vmId: VmId, poolId?: string): Promise<(Place & { seed: SeedRow }) | null> {
  const seed = await context.database.seed.findUnique({ where: { vmId } });
  if (!seed) return null;
  const pool = await context.database.pool.findUniqueOrThrow({ where: { id: poolId ?? seed.poolId } });
  return { pool, libvirtName: seed.libvirtName, seed };
}

/**
 * Writes a VM's seed into its pool, on the host of the step; nothing when the VM has none. Writing again what is there changes
 * nothing. `poolId`: into that pool instead, where a migration takes it. To be removed with HostStorage.remove(seedPlace).
 */
export async function writeSeed(steps: HostSteps, run: StepRun, vmId: VmId, poolId?: string): Promise<void> {
  const place = await seedPlace(steps, vmId, poolId);
  if (!place) return;
  const { seed } = place;
  const opened = steps.context.secrets.open({ sealed: Buffer.from(seed.content), keyId: seed.keyId }, contextOf(vmId));
  const content = JSON.parse(opened.toString('utf8')) as CloudInit; // checked when the VM was asked for
  opened.fill(0);
  const image = seedImage(vmId, content);
  if (image.length > Number(seed.size)) throw new DomainError('INTERNAL', 'The seed is larger than the room that was claimed for it.');
  await run.begin();
  await steps.host.make(place, { size: Number(seed.size), format: 'raw', secretId: null }, { signal: run.signal });
  const connection = await steps.host.agent.openConnection();
  try {
    const volume = await steps.host.find(connection, place);
    if (!volume) throw new DomainError('UNAVAILABLE', 'The seed was removed while it was written.');
    const stream = await connection.volumes.upload(volume);
    stream.end(image);
    await finished(stream);
  } finally {
    await connection.close();
  }
}
