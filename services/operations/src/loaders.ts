import { countLoader, rowLoader, rowsLoader } from '@novacron/graphql';
import DataLoader from 'dataloader';
import { tenantsWith, type Viewer } from '@novacron/contracts';
import { isId, type OperationId } from '@novacron/core';
import { visibleTo } from './directory.ts';
import type { OperationRecord, StepRecord } from './rules.ts';
import { OPERATION_COLUMNS, operationRecord, STEP_COLUMNS, stepRecord, type Database } from './store.ts';

/** A part of the operations that worked on an object, the newest first. */
export interface TargetPage {
  targetId: string;
  /** Older than this one. */
  after: string | null;
  count: number;
}

/** One query per kind and request, whatever the number of objects. */
export interface Loaders {
  /** Checks nothing: see rules.ts. */
  operations: DataLoader<string, OperationRecord | null>;
  /** The steps of an operation that the viewer sees, in their order. */
  steps: DataLoader<OperationId, StepRecord[]>;
  /** What the viewer sees of what worked on an object. */
  operationsOf: DataLoader<TargetPage, OperationRecord[], string>;
  countOf: DataLoader<string, number>;
  /** What was submitted for an operation, the oldest first, as far as the viewer sees it. */
  children: DataLoader<OperationId, OperationRecord[]>;
}

/** No id comes after it. */
const LAST_ID = 'ffffffff-ffff-ffff-ffff-ffffffffffff';

export function createLoaders(db: Database, viewer: Viewer | null): Loaders {
  const operations = rowLoader(async (ids) => (await db.operation.findMany({ where: { id: { in: ids } }, select: OPERATION_COLUMNS })).map(operationRecord));

  /** The ids of every page in one query; the operations themselves come through their own loader. */
  const readPages = async (pages: readonly TargetPage[]): Promise<OperationRecord[][]> => {
    const asked = pages.filter((page) => isId(page.targetId));
    const tenants = tenantsWith(viewer, 'operation:read');
    const targets = asked.map((page) => page.targetId);
    const afters = asked.map((page) => page.after ?? LAST_ID);
    const counts = asked.map((page) => page.count);
    const all = tenants === 'all';
    const rows = await db.$queryRaw<{ page: number; id: string }[]>`
      SELECT asked.page::int AS page, found.id::text AS id
      FROM unnest(${targets}::uuid[], ${afters}::uuid[], ${counts}::int[]) WITH ORDINALITY AS asked (target, after, count, page)
      CROSS JOIN LATERAL (
        SELECT o.id FROM operation o
        WHERE o.target_id = asked.target AND o.id < asked.after AND (${all} OR o.tenant_id = ANY (${all ? [] : tenants}::uuid[]))
        ORDER BY o.id DESC LIMIT asked.count
      ) found
      ORDER BY asked.page, found.id DESC`;
    const byPage = Map.groupBy(rows, (row) => asked[row.page - 1]);
    const idsOf = (page: TargetPage): string[] => (byPage.get(page) ?? []).map((row) => row.id);
    const found = await Promise.all(pages.map((page) => Promise.all(idsOf(page).map((id) => operations.load(id)))));
    return found.map((page) => page.filter((operation) => operation !== null)); // null: purged meanwhile
  };

  return {
    operations,
    steps: rowsLoader(
      async (ids) => {
        const rows = await db.step.findMany({ where: { operationId: { in: ids } }, orderBy: [{ operationId: 'asc' }, { index: 'asc' }], select: STEP_COLUMNS });
        return rows.map((row) => Object.assign(stepRecord(row), { operationId: row.operationId }));
      },
      (step) => step.operationId,
    ),
    children: rowsLoader(
      async (ids) => (await db.operation.findMany({ where: { AND: [{ parentId: { in: ids } }, visibleTo(viewer)] }, orderBy: { id: 'asc' }, select: OPERATION_COLUMNS })).map(operationRecord),
      (operation) => operation.parentId,
    ),
    operationsOf: new DataLoader(readPages, { cacheKeyFn: ({ targetId, after, count }) => `${targetId} ${after} ${count}` }),
    countOf: countLoader(
      async (ids) => db.operation.groupBy({ by: ['targetId'], where: { AND: [{ targetId: { in: ids } }, visibleTo(viewer)] }, _count: true }),
      (row) => row.targetId,
    ),
  };
}
