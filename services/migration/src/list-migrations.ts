import { can, requireViewer, type MigrationState, type Viewer } from '@novacron/contracts';
import { byIdDescending, cursorId, equalsId, parsePage, toConnection, type Connection, type PageArguments } from '@novacron/graphql';
import type { Database, MigrationRow } from './database.ts';
import { visibleTo, type Loaders } from './loaders.ts';

export interface MigrationFilter {
  vmId?: string | null | undefined;
  states?: readonly MigrationState[] | null | undefined;
}

/** The migration as the viewer may see it: null where there is none for it. */
export const viewMigration = (row: MigrationRow | null, viewer: Viewer | null): MigrationRow | null =>
  row !== null && can(viewer, 'migration:read', row.tenantId) ? row : null;

/** The migrations of the tenants where the viewer holds migration:read, the newest first. */
export async function listMigrations(
  database: Database,
  someone: Viewer | null,
  args: PageArguments & { filter?: MigrationFilter | null | undefined },
): Promise<Connection<MigrationRow>> {
  const viewer = requireViewer(someone);
  const page = parsePage(args);
  const { where: range, ...order } = byIdDescending(page);
  const { vmId, states } = args.filter ?? {};
  const where = {
    AND: [
      visibleTo(viewer),
      vmId == null ? {} : { vmId: equalsId(vmId) },
      states == null ? {} : { state: { in: [...states] } },
    ],
  };
  const rows = await database.migration.findMany({ ...order, where: { AND: [where, range] } });
  return toConnection(rows, page, (row) => [row.id], () => database.migration.count({ where }));
}

/** Those of one VM. The loaders know who asks, and read for a page of VMs at once. */
export async function listMigrationsOf(loaders: Loaders, someone: Viewer | null, vmId: string, args: PageArguments): Promise<Connection<MigrationRow>> {
  requireViewer(someone);
  const page = parsePage(args);
  const rows = await loaders.migrationsOf.load({ vmId, after: cursorId(page) ?? null, count: page.limit + 1 });
  return toConnection(rows, page, (row) => [row.id], () => loaders.countOf.load(vmId));
}
