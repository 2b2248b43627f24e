import { setTimeout as delay } from 'node:timers/promises';
import { DomainError, type HostId, type ImageId, type MigrationId, type VmId } from '@novacron/core';
import { inTransaction } from '@novacron/database';
import type { Connection } from '@novacron/libvirt';
import { passDoor, type StepRun } from '@novacron/operations';
import { nullIf, pathOf, placeOf, type Place } from '../host/host-storage.ts';
import { abandonImageCopy, ensureImageCopy } from '../images/copy.ts';
import type { Sink } from '../images/fetch/download.ts';
import { receiveBytes } from '../images/host/receive-file.ts';
import { readVolumeFacts, type VolumeFacts } from '../images/host/volume-facts.ts';
import { imagePlace } from '../images/import-steps.ts';
import { libvirtPoolName } from '../rules.ts';
import type { HostSteps, PlacedVolume } from './steps.ts';

/*
 * The disks of a VM that is off, from another host's pool to this host's: their files, byte by byte. So an encrypted volume stays
 * closed, and a clone stays one; it finds its image's copy here by the same path.
 */

/** How often it is told how far it is. */
const TELL_MS = 500;

export interface VolumeToCopy {
  volume: PlacedVolume;
  /** Where it is to be on this host. */
  place: Place;
  targetPoolId: string;
}

export interface CopySource {
  hostId: HostId;
  /** At most; null: as fast as it goes. */
  bytesPerSecond: number | null;
}

interface Found extends VolumeToCopy {
  fileSize: number;
}

interface Moving {
  vmId: VmId;
  migrationId: MigrationId;
}

/** Errors: INVALID_STATE, NOT_FOUND, NO_CAPACITY, UNAVAILABLE. Repeats harmlessly; `abandonVolumes` takes away what is there of it. */
export async function copyVolumes(steps: HostSteps, run: StepRun, { vmId, migrationId }: Moving, volumes: readonly VolumeToCopy[], from: CopySource): Promise<void> {
  if (volumes.length === 0) return;
  const found: Found[] = await withPeer(steps, from.hostId, run.signal, (peer) =>
    Promise.all(volumes.map(async (one) => ({ ...one, fileSize: (await requireCopyable(steps, peer, one)).physical }))),
  );
  for (const { volume, targetPoolId } of found) {
    if (volume.imageId === null) continue;
    await ensureImageCopy(steps, run, volume.imageId as ImageId, targetPoolId).catch((error: unknown) => {
      if (!(error instanceof DomainError) || error.field === undefined) throw error;
      throw new DomainError(error.code, error.message, { field: 'hostId', retryable: error.retryable, cause: error }); // whoever migrates has named neither image nor pool
    });
  }
  const pace = createPace(steps, run, migrationId, found.reduce((sum, { fileSize }) => sum + fileSize, 0), from.bytesPerSecond);
  for (const one of found) await copyVolume(steps, run, one, from.hostId, pace);
  await pace.end();
  await withPeer(steps, from.hostId, run.signal, (peer) => requireOff(peer, vmId));
}

export async function abandonVolumes(steps: HostSteps, run: StepRun, volumes: readonly VolumeToCopy[]): Promise<void> {
  for (const { volume, place, targetPoolId } of volumes) {
    await steps.host.remove(place);
    if (volume.imageId !== null) await abandonImageCopy(steps, volume.imageId, targetPoolId, run.claim.operationId);
  }
}

/** Someone may have started it, not through NovaCron: then what was copied is no disk that it ever had. */
async function requireOff(peer: Connection, vmId: VmId): Promise<void> {
  const domain = await peer.domains.lookupByUuid(vmId).catch(nullIf('NO_DOMAIN'));
  const found = domain && (await peer.domains.state(domain).catch(nullIf('NO_DOMAIN')));
  if (found === null || found.state === 'shutoff' || found.state === 'crashed') return;
  throw new DomainError('INVALID_STATE', 'The VM was started on its host, not through NovaCron, while its disks were copied.', { field: 'vmId' });
}

/** Its guest may have written any header into a raw volume: what libvirt takes that for is nobody's concern. */
const standsOnAnother = ({ format }: PlacedVolume, { backing }: VolumeFacts): boolean => format === 'qcow2' && backing !== null;

async function requireCopyable(steps: HostSteps, peer: Connection, { volume, targetPoolId }: VolumeToCopy): Promise<VolumeFacts> {
  const facts = readVolumeFacts(await peer.volumes.xml(await lookUp(peer, volume)));
  if (!standsOnAnother(volume, facts)) return facts;
  const refuse = (why: string, cause?: Error): never => {
    throw new DomainError('INVALID_STATE', `Volume "${volume.name}" can not be copied while its VM is off: ${why}`, { field: 'hostId', cause });
  };
  if (volume.imageId === null) return refuse('it stands on a file that NovaCron does not know.');
  const expected = pathOf(await imagePlace(steps, volume.imageId, targetPoolId));
  if (facts.backing === expected) return facts;
  const where = new Error(`It stands on ${facts.backing}, and the target has its image at ${expected}.`); // where things lie is for the log
  return refuse('the target has its image at another place. Start it, and move it live.', where);
}

async function lookUp(peer: Connection, volume: PlacedVolume): Promise<Parameters<Connection['volumes']['xml']>[0]> {
  const pool = await peer.pools.lookupByName(libvirtPoolName(volume.pool.name));
  const found = await peer.volumes.lookupByName(pool, placeOf(volume).libvirtName).catch(nullIf('NO_STORAGE_VOL'));
  if (!found) throw new DomainError('NOT_FOUND', `Volume "${volume.name}" is not in its storage pool any more.`, { field: 'vmId' });
  return found;
}

async function copyVolume(steps: HostSteps, run: StepRun, { volume, place, fileSize }: Found, hostId: HostId, pace: Pace): Promise<void> {
  const fill = (sink: Sink): Promise<void> =>
    withPeer(steps, hostId, run.signal, async (peer) => {
      await sink.begin(fileSize);
      const file = await peer.volumes.download(await lookUp(peer, volume), { sparse: true });
      let received = 0;
      for await (const chunk of file as AsyncIterable<Buffer>) {
        await sink.write(chunk);
        received += chunk.length;
        await pace.sent(chunk);
      }
      if (received !== fileSize) throw new DomainError('UNAVAILABLE', `The file of volume "${volume.name}" changed while it was copied.`);
    });
  try {
    await receiveBytes(steps.host, place, fileSize, run.signal, fill, () => {});
  } catch (error) {
    if (!(error instanceof DomainError) || error.code !== 'NO_CAPACITY') throw error;
    throw new DomainError('NO_CAPACITY', `Storage pool "${place.pool.name}" of the target is full: not all of volume "${volume.name}" has room in it.`, { field: 'hostId', cause: error });
  }
}

/** Slows a copy down to what is allowed, and tells how far it is. */
interface Pace {
  sent(chunk: Buffer): Promise<void>;
  /** Tells the last of it. */
  end(): Promise<void>;
}

const isZeros = (chunk: Buffer): boolean => chunk[0] === 0 && chunk.subarray(1).equals(chunk.subarray(0, -1));

function createPace({ context }: HostSteps, run: StepRun, migrationId: MigrationId, all: number, bytesPerSecond: number | null): Pace {
  const began = performance.now();
  let bytes = 0;
  let onTheWire = 0;
  let toldAt = -Infinity;
  const seconds = (): number => (performance.now() - began) / 1_000;
  const tell = async (): Promise<void> => {
    toldAt = performance.now();
    run.reportProgress(bytes / Math.max(1, all));
    const values = [migrationId, bytes, all, bytes / Math.max(0.001, seconds())];
    await inTransaction(context.database, (tx) => passDoor(tx, 'migration.disks_copied($1::uuid, $2::bigint, $3::bigint, $4::float8)', ...values)).catch((error: unknown) =>
      context.logger.warn({ err: error, migrationId }, 'how far the disks are could not be told'),
    );
  };
  return {
    async sent(chunk) {
      bytes += chunk.length;
      if (!isZeros(chunk)) onTheWire += chunk.length; // zeros do not cross it
      const early = bytesPerSecond === null ? 0 : onTheWire / bytesPerSecond - seconds();
      if (early > 0) await delay(early * 1_000, undefined, { signal: run.signal });
      if (performance.now() - toldAt >= TELL_MS) await tell();
    },
    end: tell,
  };
}

/** A connection of its own to the source; when the step is given up, nobody waits for it. */
async function withPeer<T>({ host: { agent } }: HostSteps, hostId: HostId, signal: AbortSignal, work: (peer: Connection) => Promise<T>): Promise<T> {
  const peer = await agent.openPeer(hostId);
  const close = (): void => void peer.close();
  signal.addEventListener('abort', close, { once: true });
  try {
    signal.throwIfAborted();
    return await work(peer);
  } finally {
    signal.removeEventListener('abort', close);
    await peer.close();
  }
}
