import { countLoader, rowLoader, rowsLoader } from '@novacron/graphql';
import DataLoader from 'dataloader';
import { tenantsWith, type Viewer } from '@novacron/contracts';
import { isId } from '@novacron/core';
import type { Database, HostBlockerRow, MigrationRow } from './database.ts';
import type { Prisma } from './generated/prisma/client.ts';

/** A part of a VM's migrations, the newest first. */
interface VmPage {
  vmId: string;
  /** Older than this one. */
  after: string | null;
  count: number;
}

/** One query per kind and request, whatever the number of objects. */
export interface Loaders {
  /** Checks nothing: see list-migrations.ts. */
  migration: DataLoader<string, MigrationRow | null>;
  /** What the viewer sees of a VM's migrations. */
  migrationsOf: DataLoader<VmPage, MigrationRow[], string>;
  countOf: DataLoader<string, number>;
  /** Checks nothing. */
  blockersOf: DataLoader<string, HostBlockerRow[]>;
}

/** No id comes after it. */
const LAST_ID = 'ffffffff-ffff-ffff-ffff-ffffffffffff';

export function visibleTo(viewer: Viewer | null): Prisma.MigrationWhereInput {
  const tenants = tenantsWith(viewer, 'migration:read');
  return tenants === 'all' ? {} : { tenantId: { in: tenants } };
}

export function createLoaders(database: Database, viewer: Viewer | null): Loaders {
  const migration = rowLoader((ids) => database.migration.findMany({ where: { id: { in: ids } } }));

  /** The ids of every page in one query; the migrations themselves come through their own loader. */
  const readPages = async (pages: readonly VmPage[]): Promise<MigrationRow[][]> => {
    const asked = pages.filter((page) => isId(page.vmId));
    const tenants = tenantsWith(viewer, 'migration:read');
    const all = tenants === 'all';
    const rows = await database.$queryRaw<{ page: number; id: string }[]>`
      SELECT asked.page::int AS page, found.id::text AS id
      FROM unnest(${asked.map(({ vmId }) => vmId)}::uuid[], ${asked.map(({ after }) => after ?? LAST_ID)}::uuid[], ${asked.map(({ count }) => count)}::int[])
        WITH ORDINALITY AS asked (vm, after, count, page)
      CROSS JOIN LATERAL (
        SELECT m.id FROM migration m
        WHERE m.vm_id = asked.vm AND m.id < asked.after AND (${all} OR m.tenant_id = ANY (${all ? [] : tenants}::uuid[]))
        ORDER BY m.id DESC LIMIT asked.count
      ) found
      ORDER BY asked.page, found.id DESC`;
    const byPage = Map.groupBy(rows, (row) => asked[row.page - 1]);
    const found = await Promise.all(pages.map((page) => Promise.all((byPage.get(page) ?? []).map(({ id }) => migration.load(id)))));
    return found.map((page) => page.filter((row) => row !== null));
  };

  return {
    migration,
    migrationsOf: new DataLoader(readPages, { cacheKeyFn: ({ vmId, after, count }) => `${vmId} ${after} ${count}` }),
    countOf: countLoader(
      async (ids) => database.migration.groupBy({ by: ['vmId'], where: { AND: [{ vmId: { in: ids } }, visibleTo(viewer)] }, _count: true }),
      (row) => row.vmId,
    ),
    blockersOf: rowsLoader(
      (ids) => database.hostBlocker.findMany({ where: { hostId: { in: ids } }, orderBy: { vmName: 'asc' } }),
      (row) => row.hostId,
    ),
  };
}
