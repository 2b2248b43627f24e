import { createHash } from 'node:crypto';
import { requireViewer, type RequestContext } from '@novacron/contracts';
import { checkIdempotencyKey, type OperationId } from '@novacron/core';
import type { Bells } from './bells.ts';
import { claimIdempotencyKey, type Bell, type NewOperation, type Sql } from './kernel.ts';

/** How a mutation becomes an operation. */

/** What a mutation answers, besides what it is about. */
export interface AcceptedOperation {
  operationId: OperationId;
  /** To be rung once the transaction has committed; null where there is nothing new to do. */
  bell: Bell | null;
}

/** An operation that the viewer of this request asks for. */
export const operationOf = (
  { viewer, requestId }: RequestContext,
  operation: Pick<NewOperation, 'id' | 'kind' | 'targetType' | 'targetId' | 'tenantId'>,
): NewOperation => ({ ...operation, requestedBy: viewer?.userId ?? null, requestId });

/** JSON has no bigint; its digits tell as much. */
const digits = (_name: string, value: unknown): unknown => (typeof value === 'bigint' ? String(value) : value);

/**
 * The first result of an idempotency key that was used before; null when it is new, and stands for `result` from now on, or when
 * none was sent. `input`: as it was checked, so that what means the same is the same. BAD_USER_INPUT, CONFLICT (idempotencyKey).
 */
export async function firstResult<Result>(sql: Sql, { viewer }: RequestContext, mutation: string, key: string | null | undefined, input: unknown, result: Result): Promise<Result | null> {
  if (key == null) return null;
  const inputHash = createHash('sha256').update(JSON.stringify(input, digits)).digest('hex');
  return claimIdempotencyKey(sql, { userId: requireViewer(viewer).userId, mutation, key: checkIdempotencyKey(key), inputHash }, result);
}

/** Rings for what a mutation has accepted, once it has. */
export async function ringFor<Accepted extends Pick<AcceptedOperation, 'bell'>>(bells: Pick<Bells, 'ring'>, accepting: Promise<Accepted>): Promise<Accepted> {
  const accepted = await accepting;
  bells.ring(accepted.bell);
  return accepted;
}
