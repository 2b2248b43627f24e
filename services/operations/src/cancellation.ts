import { requireViewer, type RequestContext } from '@novacron/contracts';
import { parseId, type OperationId } from '@novacron/core';
import { requestCancel, type Bells } from '@novacron/operations';
import type { Logger } from 'pino';
import { requireMayCancel, type OperationRecord } from './rules.ts';
import { OPERATION_COLUMNS, operationRecord, type Database } from './store.ts';

/**
 * Asks for an operation's end with nothing left behind, and answers with it as it is then. Idempotent while it is being
 * cancelled. UNAUTHENTICATED, NOT_FOUND, FORBIDDEN; INVALID_STATE once it has ended or can't turn back.
 */
export type CancelOperation = (request: RequestContext, id: string) => Promise<OperationRecord>;

export function createCancellation({ db, bells, logger }: { db: Database; bells: Bells; logger: Logger }): CancelOperation {
  const read = async (id: OperationId): Promise<OperationRecord | null> => {
    const row = await db.operation.findUnique({ where: { id }, select: OPERATION_COLUMNS });
    return row === null ? null : operationRecord(row);
  };
  return async ({ viewer, requestId }, text) => {
    const { userId } = requireViewer(viewer);
    const id = parseId<OperationId>(text, 'operation');
    requireMayCancel(await read(id), viewer);
    bells.ring(await requestCancel(db, id));
    const operation = requireMayCancel(await read(id), viewer);
    logger.info({ operationId: id, kind: operation.kind, targetId: operation.targetId, state: operation.state, userId, requestId }, 'operation cancelled');
    return operation;
  };
}
