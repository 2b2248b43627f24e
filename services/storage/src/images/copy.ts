import { setTimeout as delay } from 'node:timers/promises';
import { DomainError, type HostId, type ImageId, type OperationId } from '@novacron/core';
import { inTransaction, isDuplicate } from '@novacron/database';
import type { Connection } from '@novacron/libvirt';
import { goesOn, type StepRun } from '@novacron/operations';
import type { Tx } from '../database.ts';
import type { Place } from '../host/host-storage.ts';
import type { HostSteps } from '../operations/steps.ts';
import { hostFacts } from '../store/claims.ts';
import type { Sink } from './fetch/download.ts';
import { receiveFile } from './host/receive-file.ts';
import { libvirtPoolName } from '../rules.ts';
import { imageFileName } from './image-rules.ts';
import { beginCopy, dropCopy, findCopy, finishCopy, type ImageRow } from './image-store.ts';
import { formatOf, imagePlace } from './import-steps.ts';

/** How often a copy that another operation makes is looked after. */
const LOOK_MS = 250;

/**
 * The image's file is in that pool of this host when this returns; answers where. It is streamed from a host that has it, once,
 * however many ask for it at the same time. Errors: NOT_FOUND, NO_CAPACITY, UNAVAILABLE. Repeats harmlessly; what a try that was
 * cut off has left, `abandonImageCopy` takes away.
 */
export async function ensureImageCopy(steps: HostSteps, run: StepRun, imageId: ImageId, poolId: string): Promise<Place & { format: string }> {
  const place = await imagePlace(steps, imageId, poolId);
  for (;;) {
    const { turn, image } = await takeTurn(steps, imageId, poolId, run.claim.operationId);
    if (turn === 'ready') return { ...place, format: image.format ?? 'raw' };
    if (turn === 'ours') {
      await run.begin();
      await makeCopy(steps, run, image, place, poolId);
    } else {
      await delay(LOOK_MS, undefined, { signal: run.signal });
    }
  }
}

/** Nothing is left of a copy that this operation has begun and not finished. Idempotent. */
export async function abandonImageCopy(steps: HostSteps, imageId: string, poolId: string, operationId: OperationId): Promise<void> {
  const { database } = steps.context;
  const copy = await database.imageCopy.findUnique({ where: { imageId_poolId: { imageId, poolId } } });
  if (copy?.operationId !== operationId) return;
  await steps.host.remove(await imagePlace(steps, imageId, poolId));
  await inTransaction(database, (tx) => dropCopy(tx, imageId, poolId, operationId));
}

type Turn = 'ready' | 'ours' | 'wait';

/** Says whose it is to make the copy; it is ours when nobody has it, or when who had it is gone. */
async function takeTurn({ context }: HostSteps, imageId: ImageId, poolId: string, operationId: OperationId): Promise<{ turn: Turn; image: ImageRow }> {
  const decide = async (tx: Tx): Promise<{ turn: Turn; image: ImageRow }> => {
    await tx.$queryRaw`SELECT id FROM image WHERE id = ${imageId}::uuid FOR SHARE`;
    const image = await tx.image.findUnique({ where: { id: imageId } });
    if (image?.state !== 'READY') throw new DomainError('NOT_FOUND', 'The image is gone.', { field: 'imageId' });
    await tx.$queryRaw`SELECT image_id FROM image_copy WHERE image_id = ${imageId}::uuid AND pool_id = ${poolId}::uuid FOR UPDATE`;
    const copy = await findCopy(tx, imageId, poolId);
    if (copy?.state === 'READY') return { turn: 'ready', image };
    if (copy === null) {
      await beginCopy(tx, imageId, poolId, image.fileSize ?? 0n, operationId);
      return { turn: 'ours', image };
    }
    const isTaken = copy.operationId !== null && copy.operationId !== operationId && (await goesOn(tx, copy.operationId as OperationId));
    if (isTaken) return { turn: 'wait', image };
    await tx.imageCopy.update({ where: { imageId_poolId: { imageId, poolId } }, data: { operationId } });
    return { turn: 'ours', image };
  };
  try {
    return await inTransaction(context.database, decide);
  } catch (error) {
    // another has inserted it at the same time
    if (isDuplicate(error)) return inTransaction(context.database, decide);
    throw error;
  }
}

async function makeCopy(steps: HostSteps, run: StepRun, image: ImageRow, place: Place, poolId: string): Promise<void> {
  const { database } = steps.context;
  const format = formatOf(image);
  if (format === null) throw new DomainError('INTERNAL', 'An image that is READY has no format.');
  const expected = { format, size: Number(image.size), fileSize: Number(image.fileSize), sha256: image.sha256 };
  try {
    await receiveFile(steps.host, place, expected, run.signal, (sink) => readElsewhere(steps, image, sink, run.signal));
  } catch (error) {
    // whoever waits for it may try; a lost claim's work is its successor's to take away
    if (!run.signal.aborted) await abandonImageCopy(steps, image.id, poolId, run.claim.operationId);
    const isChanged = error instanceof DomainError && error.code === 'BAD_USER_INPUT';
    // nobody who asks for a VM has given this file
    throw isChanged ? new DomainError('INVALID_STATE', `Image "${image.name}" is not any more what was imported: its file was changed on its host.`, { field: 'imageId', cause: error }) : error;
  }
  await inTransaction(database, (tx) => finishCopy(tx, image.id, poolId));
}

/** Reads the file from the first host that hands it out. */
async function readElsewhere(steps: HostSteps, image: ImageRow, sink: Sink, signal: AbortSignal): Promise<void> {
  const { database } = steps.context;
  const online = new Set((await hostFacts(database)).filter(({ state }) => state !== 'OFFLINE').map(({ id }) => id as string));
  const copies = await database.imageCopy.findMany({ where: { imageId: image.id, state: 'READY' }, include: { pool: { include: { hosts: true } } } });
  let failure: unknown = null;
  for (const { pool } of copies) {
    for (const { hostId } of pool.hosts.filter((host) => host.state === 'READY' && online.has(host.hostId))) {
      const peer = await openHost(steps, hostId).catch((error: unknown) => {
        failure = error;
        return null;
      });
      if (peer) return readFrom(peer, pool.name, image, sink, signal);
    }
  }
  throw new DomainError('UNAVAILABLE', 'No host that has the image can be reached.', { field: 'imageId', cause: failure });
}

const openHost = ({ host: { agent } }: HostSteps, hostId: string): Promise<Connection> =>
  hostId === agent.host.id ? agent.openConnection() : agent.openPeer(hostId as HostId); // brands are added where rows come in

async function readFrom(peer: Connection, poolName: string, image: ImageRow, sink: Sink, signal: AbortSignal): Promise<void> {
  const close = (): void => void peer.close();
  signal.addEventListener('abort', close, { once: true });
  try {
    signal.throwIfAborted();
    const pool = await peer.pools.lookupByName(libvirtPoolName(poolName));
    const volume = await peer.volumes.lookupByName(pool, imageFileName(image.id));
    await sink.begin(Number(image.fileSize));
    const file = await peer.volumes.download(volume, { sparse: true });
    for await (const chunk of file as AsyncIterable<Buffer>) await sink.write(chunk);
  } finally {
    signal.removeEventListener('abort', close);
    await peer.close();
  }
}
