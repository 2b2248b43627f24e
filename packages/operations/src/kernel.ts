import type { NewEvent, OperationState } from '@novacron/contracts';
import type { ErrorRecord, HostId, OperationId, TenantId, UserId } from '@novacron/core';
import { carryTrace, inSpan, type TraceCarrier } from '@novacron/telemetry';
import { SpanKind } from '@opentelemetry/api';
import { mapped } from './database-errors.ts';

/**
 * The functions of the shared kernel (prisma/operations/migrations/*_functions), one wrapper each. Called with a
 * service's own Prisma client, or with the transaction that changes the service's state.
 */
export interface Sql {
  $queryRawUnsafe<Rows>(query: string, ...values: unknown[]): Promise<Rows>;
}

async function call<Result>(sql: Sql, expression: string, ...values: unknown[]): Promise<Result> {
  // `value` is text or null: what a function answers travels as JSON, whatever its type
  const rows = await mapped(sql.$queryRawUnsafe<{ value: unknown }[]>(`SELECT to_jsonb(operations.${expression}) AS value`, ...values));
  return rows[0]?.value as Result; // the function's own declaration says what it answers
}

/** For a function that answers nothing. */
export const perform = async (sql: Sql, expression: string, ...values: unknown[]): Promise<void> => {
  await mapped(sql.$queryRawUnsafe(`SELECT operations.${expression}::text`, ...values));
};

/** Where to ring so that an operation goes on, and when. */
export interface Bell {
  operationId: OperationId;
  service: string;
  hostId: HostId | null;
  cursor: number;
  attempt: number;
  delayMs: number;
}

export interface NewOperation {
  id: OperationId;
  kind: string;
  targetType: string;
  targetId: string;
  tenantId: TenantId | null;
  requestedBy: UserId | null;
  requestId: string | null;
  /** The operation that this one was submitted for. */
  parentId?: OperationId;
}

export interface PlannedStep {
  name: string;
  hostId: HostId | null;
  input: unknown;
  undoable: boolean;
  /** Once begun, the operation can't be cancelled any more. */
  final: boolean;
  /** Once it has succeeded, the operation only goes forward. */
  settles: boolean;
  /** Already done, by the transaction that submits. */
  done: boolean;
}

/** A step that a worker has taken, with what it needs to do it or to undo it. */
export interface Claim extends Omit<NewOperation, 'id' | 'parentId'> {
  operationId: OperationId;
  error: ErrorRecord | null;
  index: number;
  name: string;
  input: unknown;
  /** What the step has answered; something, too, once it has begun to act; null while it has not. */
  output: unknown;
  attempt: number;
  fence: number;
  undoing: boolean;
  /** The last try was cut off: nobody knows how far it came. */
  interrupted: boolean;
  /** The trace that the operation was submitted in; null when nobody traced. */
  traceContext: TraceCarrier | null;
  /** Undoing because someone cancelled, not because something failed. */
  cancelled: boolean;
}

export type ClaimAnswer =
  | { claim: Claim }
  | { ended: true }
  | { elsewhere: Bell }
  | { waitMs: number }
  | { stale: true };

export interface Recorded {
  state: OperationState;
  bell: Bell | null;
}

/** Puts an event into the transaction: after the entity's row is locked, as late as possible. */
export const emit = (sql: Sql, event: NewEvent): Promise<void> => {
  const { type, entityId, tenantId, after, before } = event;
  return perform(sql, 'emit($1, $2, $3::uuid, $4::jsonb)', type, entityId, tenantId, JSON.stringify({ after, before }));
};

/** Makes an operation durable with the transaction. Ring the answered bell after it has committed. */
export const submit = (sql: Sql, operation: NewOperation, steps: readonly PlannedStep[]): Promise<Bell> =>
  inSpan(`submit ${operation.kind}`, { kind: SpanKind.PRODUCER, attributes: { 'novacron.operation.id': operation.id, 'novacron.operation.kind': operation.kind } }, () => {
    const traceContext = carryTrace();
    const remembered = 'traceparent' in traceContext ? { ...operation, traceContext } : operation;
    return call(sql, 'submit($1::jsonb, $2::jsonb)', JSON.stringify(remembered), JSON.stringify(steps));
  });

export const claimStep = (
  sql: Sql,
  operationId: OperationId,
  host: { id: HostId; epoch: number } | null,
  worker: string,
  ttlMs: number,
): Promise<ClaimAnswer> =>
  call(sql, 'claim_step($1::uuid, $2::uuid, $3::bigint, $4, $5::int)', operationId, host?.id ?? null, host?.epoch ?? null, worker, ttlMs);

/** Says that the step is about to act: from now on there may be something to undo. */
export const beginStep = (sql: Sql, claim: Claim): Promise<void> =>
  perform(sql, 'begin_step($1::uuid, $2::int, $3::bigint)', claim.operationId, claim.index, claim.fence);

/** Keeps a claim alive. @returns true when the operation is to be cancelled */
export const heartbeat = (sql: Sql, claim: Claim, ttlMs: number, progress: number | null): Promise<boolean> =>
  call(sql, 'heartbeat($1::uuid, $2::int, $3::bigint, $4::int, $5::float8)', claim.operationId, claim.index, claim.fence, ttlMs, progress);

/** Records that a step is done, or undone. The last statement but events of the transaction that says what it did. */
export const recordStep = (sql: Sql, claim: Claim, output: unknown): Promise<Recorded> =>
  call(sql, 'record_step($1::uuid, $2::int, $3::bigint, $4::jsonb)', claim.operationId, claim.index, claim.fence, JSON.stringify(output ?? null));

/** Records that a try failed; without `retryMs` the operation turns back. */
export const failStep = (sql: Sql, claim: Claim, error: ErrorRecord | null, retryMs: number | null): Promise<Recorded> =>
  call(
    sql,
    'fail_step($1::uuid, $2::int, $3::bigint, $4::jsonb, $5::int)',
    claim.operationId,
    claim.index,
    claim.fence,
    error === null ? null : JSON.stringify(error),
    retryMs,
  );

/** Does the operation go forward, neither ended, nor failed, nor cancelled? */
export const goesOn = (sql: Sql, operationId: OperationId): Promise<boolean> => call(sql, 'goes_on($1::uuid)', operationId);

/** Asks for an end with nothing left behind. INVALID_STATE when it is too late. */
export const requestCancel = (sql: Sql, operationId: OperationId): Promise<Bell | null> =>
  call(sql, 'request_cancel($1::uuid)', operationId);

export interface ChildOperation {
  id: OperationId;
  kind: string;
  targetId: string;
  state: OperationState;
  error: ErrorRecord | null;
  progress: number;
}

/** The operations that were submitted for this one, oldest first. */
export function childrenOf(sql: Sql, parentId: OperationId): Promise<ChildOperation[]> {
  return mapped(sql.$queryRawUnsafe<ChildOperation[]>('SELECT id, kind, target_id AS "targetId", state, error, progress FROM operations.children_of($1::uuid)', parentId));
}

/** Bells of operations that are due and in nobody's hands. */
export async function dueBells(sql: Sql, limit: number): Promise<Bell[]> {
  const rows = await mapped(sql.$queryRawUnsafe<{ bell: Bell }[]>('SELECT * FROM operations.due_bells($1::int) AS bell', limit));
  return rows.map((row) => row.bell);
}

/**
 * Claims an idempotency key for `result` in the transaction that makes it so.
 *
 * @returns null when the key is new, else the first result. CONFLICT when the input was another.
 */
export const claimIdempotencyKey = <Result>(
  sql: Sql,
  key: { userId: UserId; mutation: string; key: string; inputHash: string },
  result: Result,
): Promise<Result | null> =>
  call(sql, 'claim_idempotency_key($1::uuid, $2, $3, $4, $5::jsonb)', key.userId, key.mutation, key.key, key.inputHash, JSON.stringify(result));
