import { randomBytes } from 'node:crypto';
import { UPLOADS_PATH, type ReceiveUpload, type RequestContext } from '@novacron/contracts';
import { DomainError, newId, type ImageId, type OperationId } from '@novacron/core';
import { inTransaction } from '@novacron/database';
import type { Bell } from '@novacron/operations';
import type { Logger } from 'pino';
import type { Database } from '../../database.ts';
import { MOST_IMAGE_BYTES } from '../fetch/download.ts';
import { buryImage, changeImage, chargeImage, lockImage } from '../image-store.ts';
import { checkNewImage, choosePool, nameTaken, requireFewUnfinished, submitImport, type NewImageInput } from '../import-image.ts';
import { hashOf, type Spool } from './spool.ts';

const HOUR_MS = 60 * 60_000;
/** How often uploads that ended, or never came, are looked for. */
const SWEEP_MS = 5_000;

export interface ImageUploadInput extends NewImageInput {
  format: string;
  sha256: string;
  size: number;
}

export interface AwaitedUpload {
  imageId: ImageId;
  /** Below the address that the graph is at. */
  url: string;
  expiresAt: Date;
}

const newToken = (): string => randomBytes(32).toString('base64url');

/** Makes an image that waits for its file, and the URL that the file may be PUT to: once, within an hour. Only the token's hash is kept. */
export async function createImageUpload(database: Database, context: RequestContext, input: ImageUploadInput): Promise<AwaitedUpload> {
  const columns = checkNewImage(context, input);
  const { size } = input;
  if (!Number.isSafeInteger(size) || size < 1 || size > MOST_IMAGE_BYTES) throw new DomainError('BAD_USER_INPUT', "An image's file has 1 byte to 1 TiB.", { field: 'size' });
  const token = newToken();
  const imageId = newId<ImageId>();
  const expiresAt = new Date(Date.now() + HOUR_MS);
  try {
    await inTransaction(database, async (tx) => {
      await requireFewUnfinished(tx, columns.tenantId);
      const poolId = await choosePool(tx, input.poolId);
      const image = await tx.image.create({
        data: { ...columns, id: imageId, poolId, state: 'AWAITING_UPLOAD', fileSize: BigInt(size), uploadHash: hashOf(token), uploadUntil: expiresAt },
      });
      await chargeImage(tx, image, BigInt(size), 'size');
    });
  } catch (error) {
    throw nameTaken(error, input.name);
  }
  return { imageId, url: `${UPLOADS_PATH}/${token}`, expiresAt };
}

export interface UploadsOptions {
  database: Database;
  spool: Spool;
  ring(bell: Bell): void;
  logger: Logger;
}

/** Takes what clients send. A token is used up by its first PUT, whatever comes of it: what failed is to be asked for anew. */
export const receiveUpload =
  ({ database, spool, ring }: UploadsOptions): ReceiveUpload =>
  async (token, body, { length, requestId }) => {
    const image = await inTransaction(database, async (tx) => {
      const awaited = await tx.image.findUnique({ where: { uploadHash: hashOf(token) } });
      const locked = awaited && (await lockImage(tx, awaited.id));
      const isAwaited = locked?.state === 'AWAITING_UPLOAD' && locked.uploadHash !== null && locked.uploadUntil !== null && locked.uploadUntil > new Date();
      if (!isAwaited) throw new DomainError('NOT_FOUND', 'This URL was used already, has expired, or never was one.');
      return changeImage(tx, locked.id, { state: 'IMPORTING', uploadHash: null });
    });
    const fileToken = newToken();
    try {
      const size = Number(image.fileSize);
      if (length !== null && length !== size) throw new DomainError('BAD_USER_INPUT', `The upload has ${length} bytes, and ${size} were announced.`, { field: 'size' });
      await spool.receive(image.id, fileToken, body, { size, sha256: image.sha256 ?? '' });
      const operationId = newId<OperationId>();
      const bell = await inTransaction(database, async (tx) => {
        const locked = await lockImage(tx, image.id);
        if (locked?.state !== 'IMPORTING') throw new DomainError('NOT_FOUND', 'The image is gone.');
        const updated = await changeImage(tx, image.id, { operationId });
        return submitImport(tx, updated, operationId, { upload: fileToken }, { requestId, createdBy: image.createdBy });
      });
      ring(bell);
      return { imageId: image.id as ImageId, operationId }; // brands are added where rows come in
    } catch (error) {
      await spool.remove(image.id);
      const { message } = DomainError.from(error);
      await inTransaction(database, (tx) => buryImage(tx, image.id, message));
      throw error;
    }
  };

/** Removes files that nobody waits for any more, and images whose files never came: at once, and again and again. */
export function startUploadSweeper({ database, spool, logger }: UploadsOptions): { close(): void } {
  /** Images that are being received now have no operation yet: only of a former life are they waited for in vain. */
  const startedAt = new Date();
  const sweep = async (): Promise<void> => {
    const now = new Date();
    const inVain = await database.image.findMany({
      where: {
        deletedAt: null,
        OR: [
          { state: 'AWAITING_UPLOAD', uploadUntil: { lt: now } },
          // its upload broke off with the process that took it
          { state: 'IMPORTING', operationId: null, uploadUntil: { lt: new Date(Math.min(startedAt.getTime(), now.getTime() - HOUR_MS)) } },
        ],
      },
      select: { id: true },
    });
    for (const { id } of inVain) await inTransaction(database, (tx) => buryImage(tx, id, 'Its file was not uploaded in time.'));
    const there = await spool.list();
    const awaited = await database.image.findMany({ where: { id: { in: there }, state: 'IMPORTING', deletedAt: null }, select: { id: true } });
    const isAwaited = new Set(awaited.map(({ id }) => id));
    for (const id of there.filter((one) => !isAwaited.has(one))) await spool.remove(id);
  };
  const look = (): void => void sweep().catch((error: unknown) => logger.warn({ err: error }, 'old uploads could not be looked for; trying again'));
  look();
  const timer = setInterval(look, SWEEP_MS);
  return { close: () => clearInterval(timer) };
}
