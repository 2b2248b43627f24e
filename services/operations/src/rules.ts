import { can, isPlatformAdmin, requireInTenant, requirePermission, requireViewer, type OperationState, type Viewer } from '@novacron/contracts';
import { DomainError, type ErrorRecord, type OperationId, type TenantId, type UserId } from '@novacron/core';
import type { StepState } from './generated/prisma/enums.ts';

/** Who sees and cancels what, and how the kernel's words read in the graph: no clock, no database. */

export interface OperationRecord {
  id: OperationId;
  kind: string;
  state: OperationState;
  progress: number;
  targetType: string;
  targetId: string;
  tenantId: TenantId | null;
  requestedBy: UserId | null;
  /** The operation that it was submitted for. */
  parentId: OperationId | null;
  /** By its state; whether somebody may is another question. */
  cancellable: boolean;
  error: ErrorRecord | null;
  createdAt: Date;
  startedAt: Date | null;
  finishedAt: Date | null;
}

export interface StepRecord {
  name: string;
  state: StepState;
  attempt: number;
  progress: number;
  error: ErrorRecord | null;
  startedAt: Date | null;
  finishedAt: Date | null;
}

type Held = Pick<OperationRecord, 'tenantId'>;

/** An operation of no tenant concerns the platform itself. */
const may = (viewer: Viewer | null, permission: 'operation:read' | 'operation:cancel', { tenantId }: Held): boolean =>
  (tenantId === null ? isPlatformAdmin(viewer) : true) && can(viewer, permission, tenantId ?? undefined);

/** What the viewer may not see is not there. */
export const viewOperation = <Operation extends Held>(operation: Operation | null, viewer: Viewer | null): Operation | null =>
  operation !== null && may(viewer, 'operation:read', operation) ? operation : null;

export const canCancel = (operation: OperationRecord, viewer: Viewer | null): boolean =>
  operation.cancellable && may(viewer, 'operation:cancel', operation);

/** The operation, for who may cancel it; else UNAUTHENTICATED, NOT_FOUND or FORBIDDEN. Its state is looked at by the kernel. */
export function requireMayCancel<Operation extends Held>(operation: Operation | null, someone: Viewer | null): Operation {
  const viewer = requireViewer(someone);
  if (operation === null || (operation.tenantId === null && !isPlatformAdmin(viewer))) {
    throw new DomainError('NOT_FOUND', 'There is no operation with this id.', { field: 'id' });
  }
  if (operation.tenantId === null) requirePermission(viewer, 'operation:cancel');
  else requireInTenant(viewer, 'operation:cancel', operation.tenantId, 'operation');
  return operation;
}

/** A step's state, in the words of operations: of a step, cancelled is undone. */
export const STEP_STATES: Record<StepState, OperationState> = {
  PENDING: 'QUEUED',
  RUNNING: 'RUNNING',
  SUCCEEDED: 'SUCCEEDED',
  FAILED: 'FAILED',
  UNDOING: 'CANCELLING',
  UNDONE: 'CANCELLED',
};

/** A kind to look for; BAD_USER_INPUT for what no operation can have as its kind. */
export function parseKind(kind: string): string {
  if (/^[a-z][\w.-]{0,99}$/i.test(kind)) return kind;
  throw new DomainError('BAD_USER_INPUT', 'A kind is written like "vm.create".', { field: 'filter.kind' });
}
