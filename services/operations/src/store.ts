import { prismaAdapter } from '@novacron/database';
import type { ErrorRecord, OperationId, TenantId, UserId } from '@novacron/core';
import { PrismaClient } from './generated/prisma/client.ts';
import type { OperationRecord, StepRecord } from './rules.ts';

export type Database = PrismaClient;

/** Connects at the first query. `databaseUrl`: the owner's, or the one of operations' own role. */
export const openDatabase = (databaseUrl: string): Database =>
  new PrismaClient({ adapter: prismaAdapter(databaseUrl, 'operations') });

export const OPERATION_COLUMNS = {
  id: true,
  kind: true,
  state: true,
  progress: true,
  targetType: true,
  targetId: true,
  tenantId: true,
  requestedBy: true,
  parentId: true,
  cancellable: true,
  error: true,
  createdAt: true,
  startedAt: true,
  finishedAt: true,
} as const;

/** What is read of a step: never its input and output, which are the service's own. */
export const STEP_COLUMNS = {
  operationId: true,
  name: true,
  state: true,
  attempt: true,
  progress: true,
  error: true,
  startedAt: true,
  finishedAt: true,
} as const;

// Ids and errors leave the tables here: the brands exist only for the compiler, and errors are written by the kernel's
// callers as ErrorRecord or not at all.
type Raw<Row, Key extends keyof Row> = Omit<Row, Key> & { [Name in Key]: null extends Row[Name] ? string | null : string };

export const operationRecord = (
  row: Raw<Omit<OperationRecord, 'error'>, 'id' | 'tenantId' | 'requestedBy' | 'parentId'> & { error: unknown },
): OperationRecord => ({
  ...row,
  id: row.id as OperationId,
  tenantId: row.tenantId as TenantId | null,
  requestedBy: row.requestedBy as UserId | null,
  parentId: row.parentId as OperationId | null,
  error: row.error as ErrorRecord | null,
});

export const stepRecord = (row: Omit<StepRecord, 'error'> & { error: unknown }): StepRecord => ({
  ...row,
  error: row.error as ErrorRecord | null,
});

/** Removes events made before, for good: who comes back to an older place is told CURSOR_EXPIRED. */
export const trimEvents = async (db: Database, before: Date): Promise<void> => {
  await db.$queryRaw`SELECT operations.trim_events(${before.toISOString()}::timestamptz)::text`;
};

/** Removes operations that ended before, and idempotency keys that no longer count. */
export const purgeOperations = async (db: Database, endedBefore: Date): Promise<void> => {
  await db.$queryRaw`SELECT operations.purge(${endedBefore.toISOString()}::timestamptz)::text`;
};
