import { requirePermission, requireViewer, tenantFor, type RequestContext, type Viewer } from '@novacron/contracts';
import { checkName, DomainError, newId, parseId, type OperationId, type TenantId, type VolumeId } from '@novacron/core';
import { inTransaction, orTaken } from '@novacron/database';
import { firstResult, operationOf, submit } from '@novacron/operations';
import type { Secrets } from '@novacron/secrets';
import type { Accepted } from './change-volume.ts';
import type { Database, PoolRow, SnapshotRow, Tx, VolumeRow } from './database.ts';
import { newPassphrase } from './host/volume-secrets.ts';
import { planCreate } from './operations/create.ts';
import { checkFormat, checkSize, volumeFile, type VolumeFormat } from './rules.ts';
import { charge, claimRoom, takeRoom } from './store/claims.ts';
import { hostForPool } from './store/pools.ts';

/** What a client may send; see CreateVolumeInput in the schema. */
export interface CreateVolumeInput {
  name: string;
  size?: number | bigint | null | undefined;
  poolId?: string | null | undefined;
  format?: string | null | undefined;
  encrypted?: boolean | null | undefined;
  snapshotId?: string | null | undefined;
  tenantId?: string | null | undefined;
  idempotencyKey?: string | null | undefined;
}

interface CheckedInput {
  name: string;
  /** Null: that of the snapshot. */
  size: number | null;
  poolId: string | null;
  format: VolumeFormat;
  encrypted: boolean | null;
  snapshotId: string | null;
  tenantId: TenantId;
}

type Source = SnapshotRow & { volume: VolumeRow };

function checkInput(viewer: Viewer, input: CreateVolumeInput): CheckedInput {
  const tenantId = tenantFor(viewer, input.tenantId, 'volume');
  requirePermission(viewer, 'volume:create', tenantId);
  if (input.size == null && input.snapshotId == null) throw new DomainError('BAD_USER_INPUT', 'A volume needs a size.', { field: 'size' });
  return {
    name: checkName(input.name),
    size: input.size == null ? null : checkSize(Number(input.size)),
    poolId: input.poolId == null ? null : parseId(input.poolId, 'storage pool', 'poolId'),
    format: checkFormat(input.format ?? 'qcow2'),
    encrypted: input.encrypted ?? null,
    snapshotId: input.snapshotId == null ? null : parseId(input.snapshotId, 'snapshot', 'snapshotId'),
    tenantId,
  };
}

/** The snapshot that the volume is made from: the tenant's own, whole, and not larger or more secret than the volume. */
async function findSource(tx: Tx, { snapshotId, tenantId, size, encrypted, poolId }: CheckedInput): Promise<Source | null> {
  if (snapshotId === null) return null;
  await tx.$queryRaw`SELECT id FROM volume_snapshot WHERE id = ${snapshotId}::uuid FOR SHARE`; // nobody deletes it meanwhile
  const source = await tx.volumeSnapshot.findUnique({ where: { id: snapshotId }, include: { volume: true } });
  if (source?.volume.tenantId !== tenantId) throw new DomainError('NOT_FOUND', 'The tenant has no snapshot with this id.', { field: 'snapshotId' });
  if (source.state !== 'AVAILABLE') throw new DomainError('INVALID_STATE', `The snapshot is ${source.state}: it must be AVAILABLE.`, { field: 'snapshotId' });
  if (poolId !== null && poolId !== source.volume.poolId) throw new DomainError('BAD_USER_INPUT', 'A volume from a snapshot is made in the pool of the snapshot.', { field: 'poolId' });
  if (size !== null && size !== Number(source.size)) throw new DomainError('BAD_USER_INPUT', 'A volume from a snapshot has its size; resize it afterwards.', { field: 'size' });
  if (encrypted === false && source.volume.encrypted) throw new DomainError('BAD_USER_INPUT', 'The snapshot is encrypted, so the volume must be.', { field: 'encrypted' });
  return source;
}

async function claimPool(tx: Tx, poolId: string | null, bytes: number): Promise<PoolRow> {
  if (poolId === null) return tx.pool.findUniqueOrThrow({ where: { id: await takeRoom(tx, BigInt(bytes), 'size') } });
  const pool = await tx.pool.findUnique({ where: { id: poolId } });
  if (!pool) throw new DomainError('NOT_FOUND', 'There is no storage pool with this id.', { field: 'poolId' });
  if (pool.state !== 'READY') throw new DomainError('INVALID_STATE', `Storage pool "${pool.name}" is ${pool.state}: it must be READY.`, { field: 'poolId' });
  await claimRoom(tx, pool.id, BigInt(bytes), 'size');
  return pool;
}

/** Makes a volume durable with its claim, and the operation that brings it into being. */
export async function createVolume(database: Database, secrets: Secrets, context: RequestContext, input: CreateVolumeInput): Promise<Accepted> {
  const viewer = requireViewer(context.viewer);
  const checked = checkInput(viewer, input);
  const result = { volumeId: newId<VolumeId>(), operationId: newId<OperationId>() };
  try {
    return await inTransaction(database, insert);
  } catch (error) {
    throw orTaken(error, 'name', `The tenant has a volume named "${checked.name}" already.`);
  }

  async function insert(tx: Tx): Promise<Accepted> {
    const first = await firstResult(tx, context, 'createVolume', input.idempotencyKey, checked, result);
    if (first) return { ...first, volume: null, bell: null };
    const { volumeId, operationId } = result;
    const source = await findSource(tx, checked);
    const size = checked.size ?? Number(source?.size);
    const encrypted = checked.encrypted ?? source?.volume.encrypted ?? false;
    const pool = await claimPool(tx, source?.volume.poolId ?? checked.poolId, size);
    const hostId = await hostForPool(tx, pool);
    const volume = await tx.volume.create({
      data: {
        id: volumeId,
        tenantId: checked.tenantId,
        name: checked.name,
        liveName: checked.name,
        size: BigInt(size),
        format: checked.format,
        encrypted,
        ...(encrypted ? { ...newPassphrase(secrets, volumeId), secretId: newId<string>() } : {}),
        poolId: pool.id,
        libvirtName: volumeFile(volumeId, checked.format),
        createdBy: viewer.userId,
        operationId,
        operationVerb: 'create',
      },
    });
    await charge(tx, checked.tenantId, { storage: BigInt(size) });
    const hold = { volumeId, operationId, verb: 'create', ...(source === null ? {} : { snapshotId: source.id }) } as const;
    const operation = operationOf(context, { id: operationId, kind: 'volume.create', targetType: 'Volume', targetId: volumeId, tenantId: checked.tenantId });
    return { volumeId, operationId, volume, bell: await submit(tx, operation, planCreate(hold, hostId)) };
  }
}
