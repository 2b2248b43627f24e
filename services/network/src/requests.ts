import { createHash } from 'node:crypto';
import { requireViewer, seesTenant, type RequestContext, type Viewer } from '@novacron/contracts';
import { checkIdempotencyKey, DomainError, isId, type OperationId, type TenantId } from '@novacron/core';
import { claimIdempotencyKey, type Bell, type NewOperation } from '@novacron/operations';
import type { Tx } from './database.ts';

/** What a mutation answers once its transaction has committed; the bell is to be rung then. */
export interface Accepted<Row> {
  row: Row;
  operationId: OperationId;
  bell: Bell | null;
}

/** An id of the input, or NOT_FOUND with its field. */
export function idOf<T extends string>(value: string, what: string, field: string): T {
  if (!isId(value)) throw new DomainError('NOT_FOUND', `There is no ${what} with this id.`, { field });
  return value.toLowerCase() as T; // a brand exists only for the compiler
}

/** The tenant that something new is for: the one named, else the viewer's only one. */
export function tenantFor(viewer: Viewer, tenantId: string | null | undefined, what: string): TenantId {
  if (tenantId != null) {
    const id = idOf<TenantId>(tenantId, 'tenant', 'tenantId');
    if (!seesTenant(viewer, id)) throw new DomainError('NOT_FOUND', 'There is no tenant with this id.', { field: 'tenantId' });
    return id;
  }
  const [only, ...others] = new Set(viewer.roles.map((held) => held.tenantId));
  if (only === undefined) throw new DomainError('FORBIDDEN', 'You are in no tenant.');
  if (others.length > 0) throw new DomainError('BAD_USER_INPUT', `You are in several tenants: say which one the ${what} is for.`, { field: 'tenantId' });
  return only;
}

export const operationOf = (
  { viewer, requestId }: RequestContext,
  operation: Pick<NewOperation, 'id' | 'kind' | 'targetType' | 'targetId' | 'tenantId'>,
): NewOperation => ({ ...operation, requestedBy: viewer?.userId ?? null, requestId });

/** The first result of a key that was used before; null when it is new, or none was sent. */
export async function firstResult<Result>(tx: Tx, { viewer }: RequestContext, mutation: string, key: string | null | undefined, input: unknown, result: Result): Promise<Result | null> {
  if (key == null) return null;
  const inputHash = createHash('sha256').update(JSON.stringify(input)).digest('hex');
  return claimIdempotencyKey(tx, { userId: requireViewer(viewer).userId, mutation, key: checkIdempotencyKey(key), inputHash }, result);
}

/** Locks out, until the transaction ends, whoever decides about the same. */
export const lockOut = (tx: Tx, what: string): Promise<unknown> => tx.$queryRaw`SELECT pg_advisory_xact_lock(hashtext(${`network.${what}`}))::text`;
