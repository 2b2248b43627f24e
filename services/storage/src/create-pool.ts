import { requirePermission, type RequestContext } from '@novacron/contracts';
import { checkName, checkText, DomainError, newId, parseId, type HostId, type OperationId, type PoolId } from '@novacron/core';
import { inTransaction, orTaken } from '@novacron/database';
import { operationOf, submit, type AcceptedOperation } from '@novacron/operations';
import type { Database, PoolRow, Tx } from './database.ts';
import { planPool } from './operations/pool.ts';
import { checkPath, LIMITS } from './rules.ts';
import { hostFacts } from './store/claims.ts';

export interface CreatePoolInput {
  name: string;
  hostIds: readonly string[];
  path: string;
  tier?: string | null | undefined;
  shared?: boolean | null | undefined;
}

export interface AcceptedPool extends AcceptedOperation {
  pool: PoolRow;
}

const TIER_LENGTH = 63;

/** Makes a pool durable, and the operation that makes it on its hosts. Only for who administers the platform. */
export async function createStoragePool(database: Database, context: RequestContext, input: CreatePoolInput): Promise<AcceptedPool> {
  requirePermission(context.viewer, 'pool:create');
  const shared = input.shared ?? false;
  const checked = { name: checkName(input.name), path: checkPath(input.path), tier: checkText(input.tier ?? 'standard', 'tier', TIER_LENGTH), shared };
  const hostIds = [...new Set(input.hostIds.map((id) => parseId<HostId>(id, 'host', 'hostIds')))];
  if (hostIds.length === 0 || hostIds.length > LIMITS.hosts.most) throw new DomainError('BAD_USER_INPUT', `A storage pool has 1 to ${LIMITS.hosts.most} hosts.`, { field: 'hostIds' });
  if (!shared && hostIds.length > 1) {
    throw new DomainError('BAD_USER_INPUT', 'Several hosts have one pool only if they share it: say so, or make a pool of this name for each of them.', { field: 'hostIds' });
  }
  try {
    return await inTransaction(database, insert);
  } catch (error) {
    throw orTaken(error, 'name', `One of these hosts has a storage pool named "${checked.name}" already.`);
  }

  async function insert(tx: Tx): Promise<AcceptedPool> {
    await requireOnline(tx, hostIds);
    const poolId = newId<PoolId>();
    const pool = await tx.pool.create({
      data: { id: poolId, ...checked, hosts: { create: hostIds.map((hostId) => ({ hostId, name: checked.name })) } },
    });
    const operationId = newId<OperationId>();
    const operation = operationOf(context, { id: operationId, kind: 'pool.create', targetType: 'StoragePool', targetId: poolId, tenantId: null });
    return { pool, operationId, bell: await submit(tx, operation, planPool(poolId, hostIds)) };
  }
}

async function requireOnline(tx: Tx, hostIds: readonly HostId[]): Promise<void> {
  const known = new Map((await hostFacts(tx)).map((host) => [host.id, host]));
  for (const id of hostIds) {
    const host = known.get(id);
    if (!host) throw new DomainError('NOT_FOUND', 'There is no host with this id.', { field: 'hostIds' });
    if (host.state === 'OFFLINE') throw new DomainError('UNAVAILABLE', `Host "${host.name}" is offline.`, { field: 'hostIds' });
  }
}
