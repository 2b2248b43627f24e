import { requireViewer, tenantsWith, type OperationState, type Viewer } from '@novacron/contracts';
import { byIdDescending, cursorId, equalsId, parsePage, toConnection, type Connection, type PageArguments } from '@novacron/graphql';
import type { Prisma } from './generated/prisma/client.ts';
import type { Loaders } from './loaders.ts';
import { parseKind, type OperationRecord } from './rules.ts';
import { OPERATION_COLUMNS, operationRecord, type Database } from './store.ts';

/** What is read in lists, the newest first; by id, see loaders.ts. */

type Maybe<Value> = Value | null | undefined;

export interface OperationFilter {
  states?: Maybe<readonly OperationState[]>;
  kind?: Maybe<string>;
  targetId?: Maybe<string>;
  tenantId?: Maybe<string>;
}

/** The operations of the tenants where the viewer holds operation:read; all of them for a platform administrator. */
export async function listOperations(
  db: Database,
  someone: Viewer | null,
  args: PageArguments & { filter?: Maybe<OperationFilter> },
): Promise<Connection<OperationRecord>> {
  const viewer = requireViewer(someone);
  const page = parsePage(args);
  const { where: range, ...order } = byIdDescending(page);
  const where = { AND: [visibleTo(viewer), matching(args.filter ?? {})] };
  const rows = await db.operation.findMany({ ...order, where: { AND: [where, range] }, select: OPERATION_COLUMNS });
  return toConnection(rows.map(operationRecord), page, (operation) => [operation.id], () => db.operation.count({ where }));
}

/** Those of them that worked on this object. The loaders know who asks, and read for a page of objects at once. */
export async function listOperationsOf(
  loaders: Loaders,
  someone: Viewer | null,
  targetId: string,
  args: PageArguments,
): Promise<Connection<OperationRecord>> {
  requireViewer(someone);
  const page = parsePage(args);
  const rows = await loaders.operationsOf.load({ targetId, after: cursorId(page) ?? null, count: page.limit + 1 });
  return toConnection(rows, page, (operation) => [operation.id], () => loaders.countOf.load(targetId));
}

export function visibleTo(viewer: Viewer | null): Prisma.OperationWhereInput {
  const tenants = tenantsWith(viewer, 'operation:read');
  return tenants === 'all' ? {} : { tenantId: { in: tenants } };
}

const matching = ({ states, kind, targetId, tenantId }: OperationFilter): Prisma.OperationWhereInput => ({
  ...(states == null ? {} : { state: { in: [...states] } }),
  ...(kind == null ? {} : { kind: parseKind(kind) }),
  ...(targetId == null ? {} : { targetId: equalsId(targetId) }),
  ...(tenantId == null ? {} : { tenantId: equalsId(tenantId) }),
});
