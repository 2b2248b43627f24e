import { isPlatformAdmin, requirePermission, requireViewer, tenantFor, type RequestContext, type Viewer } from '@novacron/contracts';
import { checkName, DomainError, isId, newId, type ImageId, type OperationId, type PoolId, type TenantId, type UserId } from '@novacron/core';
import { inTransaction, orTaken } from '@novacron/database';
import { submit, type AcceptedOperation, type Bell } from '@novacron/operations';
import type { Database, Tx } from '../database.ts';
import { hostFacts, takeRoom } from '../store/claims.ts';
import { parseImageUrl } from './fetch/image-url.ts';
import { checkImageFormat, checkSha256, MOST_UNFINISHED } from './image-rules.ts';
import type { ImageRow } from './image-store.ts';
import { planImport } from './import-steps.ts';

export interface AcceptedImage extends AcceptedOperation {
  imageId: ImageId;
}

export interface NewImageInput {
  name: string;
  sha256?: string | null | undefined;
  format?: string | null | undefined;
  poolId?: string | null | undefined;
  tenantId?: string | null | undefined;
  public?: boolean | null | undefined;
}

export interface ImportImageInput extends NewImageInput {
  url: string;
}

/** Whose a new image is; null: everyone's, which is for administrators of the platform to say. */
export function ownerFor(viewer: Viewer, { tenantId, public: isPublic }: NewImageInput): TenantId | null {
  if (isPublic === true) {
    if (tenantId != null) throw new DomainError('BAD_USER_INPUT', 'A public image is of no tenant.', { field: 'tenantId' });
    if (!isPlatformAdmin(viewer)) throw new DomainError('FORBIDDEN', 'Only administrators of the platform make public images.', { field: 'public' });
    return null;
  }
  return tenantFor(viewer, tenantId, 'image');
}

/** The columns of a new image, checked. UNAUTHENTICATED, FORBIDDEN, NOT_FOUND, BAD_USER_INPUT. */
export function checkNewImage({ viewer }: RequestContext, input: NewImageInput) {
  const known = requireViewer(viewer);
  const tenantId = ownerFor(known, input);
  requirePermission(known, 'image:import', tenantId ?? undefined);
  const name = checkName(input.name);
  return {
    tenantId,
    name,
    liveName: name,
    sha256: input.sha256 == null ? null : checkSha256(input.sha256),
    format: input.format == null ? null : checkImageFormat(input.format),
    createdBy: known.userId,
  };
}

/** The pool that was named, or the one with most room; and a host that works on it. NOT_FOUND, INVALID_STATE, UNAVAILABLE. */
export async function choosePool(tx: Tx, wanted: string | null | undefined): Promise<PoolId> {
  if (wanted == null) return takeRoom(tx, 0n, 'poolId');
  const pool = isId(wanted) ? await tx.pool.findUnique({ where: { id: wanted } }) : null;
  if (!pool || pool.state === 'DELETED') throw new DomainError('NOT_FOUND', 'There is no storage pool with this id.', { field: 'poolId' });
  if (pool.state !== 'READY') throw new DomainError('INVALID_STATE', `Storage pool "${pool.name}" is ${pool.state}: it must be READY.`, { field: 'poolId' });
  return pool.id as PoolId; // brands are added where rows come in
}

/** A host that has the pool, one that is online if there is one. */
export async function chooseHost(tx: Tx, poolId: string, { mustBeOnline }: { mustBeOnline: boolean }): Promise<string> {
  const rows = await tx.poolHost.findMany({ where: { poolId }, orderBy: { hostId: 'asc' } });
  const online = new Set((await hostFacts(tx)).filter(({ state }) => state !== 'OFFLINE').map(({ id }) => id as string));
  const best = rows.find(({ hostId, state }) => state === 'READY' && online.has(hostId)) ?? (mustBeOnline ? undefined : rows[0]);
  if (!best) throw new DomainError('UNAVAILABLE', 'No host that has this storage pool is online.', { field: 'poolId' });
  return best.hostId;
}

/** QUOTA_EXCEEDED when too many images of the tenant are on their way. Two requests at once may both be the last. */
export async function requireFewUnfinished(tx: Tx, tenantId: string | null): Promise<void> {
  const count = await tx.image.count({ where: { tenantId, state: { in: ['IMPORTING', 'AWAITING_UPLOAD'] }, deletedAt: null } });
  if (count >= MOST_UNFINISHED) throw new DomainError('QUOTA_EXCEEDED', `${count} images are being imported or wait for their file already: no more than ${MOST_UNFINISHED} at once.`);
}

export const nameTaken = (error: unknown, name: string): unknown => orTaken(error, 'name', `There is an image named "${name}" already.`);

/** Submits the operation that fetches an image. */
export const submitImport = async (
  tx: Tx,
  image: Pick<ImageRow, 'id' | 'tenantId' | 'poolId'>,
  operationId: OperationId,
  source: { url: string } | { upload: string },
  by: { createdBy: string | null; requestId: string },
): Promise<Bell> => {
  const imageId = image.id as ImageId; // brands are added where rows come in
  const hostId = await chooseHost(tx, image.poolId, { mustBeOnline: true });
  return submit(
    tx,
    { id: operationId, kind: 'image.import', targetType: 'Image', targetId: imageId, tenantId: image.tenantId as TenantId | null, requestedBy: by.createdBy as UserId | null, requestId: by.requestId },
    planImport({ imageId, operationId, verb: 'import' }, { imageId, poolId: image.poolId as PoolId, source }, hostId),
  );
};

/** Accepts an import: the image is there at once, IMPORTING. What is wrong with its file, its operation tells. */
export async function importImage(database: Database, context: RequestContext, input: ImportImageInput): Promise<AcceptedImage> {
  const columns = checkNewImage(context, input);
  const url = parseImageUrl(input.url);
  const [imageId, operationId] = [newId<ImageId>(), newId<OperationId>()];
  try {
    return await inTransaction(database, async (tx) => {
      await requireFewUnfinished(tx, columns.tenantId);
      const poolId = await choosePool(tx, input.poolId);
      // a query may hold what opens the file: only the operation's step keeps it
      const image = await tx.image.create({ data: { ...columns, id: imageId, poolId, operationId, url: `${url.origin}${url.pathname}` } });
      return { imageId, operationId, bell: await submitImport(tx, image, operationId, { url: url.href }, { ...columns, requestId: context.requestId }) };
    });
  } catch (error) {
    throw nameTaken(error, input.name);
  }
}
