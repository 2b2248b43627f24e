import { isPlatformAdmin, requireInTenant, requirePermission, type RequestContext, type Viewer } from '@novacron/contracts';
import { DomainError, newId, parseId, type ImageId, type OperationId, type PoolId, type TenantId } from '@novacron/core';
import { inTransaction } from '@novacron/database';
import { goesOn, operationOf, submit } from '@novacron/operations';
import type { Database } from '../database.ts';
import { changeImage, lockImage, type ImageRow } from './image-store.ts';
import { chooseHost, type AcceptedImage } from './import-image.ts';
import { planDelete } from './import-steps.ts';

/** A public image belongs to the platform. */
function requireDelete(viewer: Viewer | null, image: ImageRow): void {
  if (image.tenantId !== null) return void requireInTenant(viewer, 'image:delete', image.tenantId, 'image');
  if (!isPlatformAdmin(requirePermission(viewer, 'image:delete'))) throw new DomainError('FORBIDDEN', 'Only administrators of the platform delete public images.');
}

/** Accepts the deletion of an image that no volume stands on, from every pool. Asked again while in flight, it answers the same. */
export async function deleteImage(database: Database, context: RequestContext, id: string): Promise<AcceptedImage> {
  const { viewer } = context;
  requirePermission(viewer, 'image:delete');
  return inTransaction(database, async (tx) => {
    const imageId = parseId<ImageId>(id, 'image');
    const image = await lockImage(tx, imageId);
    if (!image) throw new DomainError('NOT_FOUND', 'There is no image with this id.');
    requireDelete(viewer, image);
    if (image.state === 'DELETING' && image.operationId !== null && (await goesOn(tx, image.operationId as OperationId))) {
      return { imageId, operationId: image.operationId as OperationId, bell: null };
    }
    if (image.state === 'IMPORTING') throw new DomainError('INVALID_STATE', 'The image is being imported: cancel that operation, and nothing is left of it.');
    const users = await tx.volume.count({ where: { imageId, deletedAt: null } });
    if (users > 0) throw new DomainError('INVALID_STATE', `${users === 1 ? 'A volume stands' : `${users} volumes stand`} on this image: it can be deleted after them.`);
    const copies = await tx.imageCopy.findMany({ where: { imageId }, orderBy: { poolId: 'asc' } });
    const places: { poolId: PoolId; hostId: string }[] = [];
    for (const { poolId } of copies) places.push({ poolId: poolId as PoolId, hostId: await chooseHost(tx, poolId, { mustBeOnline: false }) });
    const operationId = newId<OperationId>();
    await changeImage(tx, imageId, { state: 'DELETING', operationId, uploadHash: null });
    const operation = operationOf(context, { id: operationId, kind: 'image.delete', targetType: 'Image', targetId: imageId, tenantId: image.tenantId as TenantId | null });
    return { imageId, operationId, bell: await submit(tx, operation, planDelete({ imageId, operationId, verb: 'delete' }, places)) };
  });
}
