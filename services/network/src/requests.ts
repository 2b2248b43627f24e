import { createHash } from 'node:crypto';
import { requireViewer, type RequestContext } from '@novacron/contracts';
import { checkIdempotencyKey, type OperationId } from '@novacron/core';
import { claimIdempotencyKey, type Bell, type NewOperation } from '@novacron/operations';
import type { Tx } from './database.ts';

/** What a mutation answers once its transaction has committed; the bell is to be rung then. */
export interface Accepted<Row> {
  row: Row;
  operationId: OperationId;
  bell: Bell | null;
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
