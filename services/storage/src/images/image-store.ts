import type { ImageId, OperationId } from '@novacron/core';
import type { Tx } from '../database.ts';
import type { Image as ImageRow, ImageCopy as ImageCopyRow } from '../generated/prisma/client.ts';
import type { ImageUncheckedUpdateInput } from '../generated/prisma/models/Image.ts';
import { charge, claimRoom } from '../store/claims.ts';
import { imageFileName } from './image-rules.ts';

export type { ImageRow, ImageCopyRow };

/** The living image, locked until the transaction ends; null when there is none. */
export async function lockImage(tx: Tx, id: string): Promise<ImageRow | null> {
  await tx.$queryRaw`SELECT id FROM image WHERE id = ${id}::uuid FOR UPDATE`;
  return tx.image.findFirst({ where: { id, deletedAt: null } });
}

/** Writes a change of a locked image. */
export const changeImage = (tx: Tx, id: string, change: ImageUncheckedUpdateInput): Promise<ImageRow> =>
  tx.image.update({ where: { id }, data: { ...change, generation: { increment: 1 } } });

/** Charges an image's tenant for its file, once, in however many pools it will be; nobody for what is everyone's. QUOTA_EXCEEDED. */
export const chargeImage = async (tx: Tx, { tenantId }: Pick<ImageRow, 'tenantId'>, bytes: bigint, field?: string): Promise<void> => {
  if (tenantId !== null) await charge(tx, tenantId, { storage: bytes }, field);
};

/** What is in the image's file is known, and its tenant charged for it: for what it was not before, where an upload had been announced. QUOTA_EXCEEDED. */
export async function describeImage(tx: Tx, id: string, { format, size, fileSize }: { format: string; size: number; fileSize: number }): Promise<void> {
  const before = await lockImage(tx, id);
  const after = await changeImage(tx, id, { format, size: BigInt(size), fileSize: BigInt(fileSize) });
  await chargeImage(tx, after, BigInt(fileSize) - (before?.fileSize ?? 0n), 'url');
}

/** The image is no more: its name is free, and its tenant charged for it no longer. The row stays for who still asks, with why. Idempotent. */
export async function buryImage(tx: Tx, id: string, problem: string | null): Promise<void> {
  const image = await lockImage(tx, id);
  if (!image) return;
  await chargeImage(tx, image, -(image.fileSize ?? 0n));
  await changeImage(tx, id, { state: 'DELETED', deletedAt: new Date(), liveName: null, uploadHash: null, operationId: null, problem });
}

export const findCopy = (tx: Tx, imageId: string, poolId: string): Promise<ImageCopyRow | null> =>
  tx.imageCopy.findUnique({ where: { imageId_poolId: { imageId, poolId } } });

/** A copy that this operation is to make; its room is claimed. NO_CAPACITY. */
export async function beginCopy(tx: Tx, imageId: ImageId, poolId: string, bytes: bigint, operationId: OperationId): Promise<void> {
  await claimRoom(tx, poolId, bytes, 'poolId');
  await tx.imageCopy.create({ data: { imageId, poolId, libvirtName: imageFileName(imageId), claimed: bytes, operationId } });
}

/** The copy is no more, if it is still this operation's to make, or whoever's with null: its room is free. Idempotent. */
export async function dropCopy(tx: Tx, imageId: string, poolId: string, operationId: OperationId | null): Promise<void> {
  const [copy] = await tx.$queryRaw<{ claimed: bigint }[]>`
    DELETE FROM image_copy WHERE image_id = ${imageId}::uuid AND pool_id = ${poolId}::uuid
      AND (${operationId}::uuid IS NULL OR operation_id = ${operationId}::uuid) RETURNING claimed`;
  if (copy) await claimRoom(tx, poolId, -copy.claimed);
}

/** The copy is whole, and nobody's to make any more. */
export const finishCopy = (tx: Tx, imageId: string, poolId: string): Promise<ImageCopyRow> =>
  tx.imageCopy.update({ where: { imageId_poolId: { imageId, poolId } }, data: { state: 'READY', operationId: null } });
