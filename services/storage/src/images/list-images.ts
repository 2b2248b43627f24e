import type { TenantId } from '@novacron/core';
import { byId, containing, equalsId, parsePage, toConnection, type Connection, type PageArguments } from '@novacron/graphql';
import type { Database } from '../database.ts';
import type { Prisma } from '../generated/prisma/client.ts';
import { ImageState } from '../generated/prisma/enums.ts';
import type { ImageRow } from './image-store.ts';

export interface ImageFilter {
  tenantId?: string | null | undefined;
  public?: boolean | null | undefined;
  state?: string | null | undefined;
  search?: string | null | undefined;
}

/** A page of living images of these tenants and of everyone's, oldest first. */
export async function listImages(
  database: Database,
  { tenants, filter, paging }: { tenants: readonly TenantId[] | 'all'; filter: ImageFilter | null | undefined; paging: PageArguments },
): Promise<Connection<ImageRow>> {
  const page = parsePage(paging);
  const visible = tenants === 'all' ? {} : { OR: [{ tenantId: null }, { tenantId: { in: [...tenants] } }] };
  const where: Prisma.ImageWhereInput = { AND: [{ deletedAt: null }, visible, whereFilter(filter)] };
  const { where: after, ...order } = byId(page);
  const rows = await database.image.findMany({ where: { AND: [where, after] }, ...order });
  return toConnection(rows, page, (image) => [image.id], () => database.image.count({ where }));
}

/** What is no id, or no state, matches nothing. */
function whereFilter(filter: ImageFilter | null | undefined): Prisma.ImageWhereInput {
  return {
    AND: [
      filter?.tenantId == null ? {} : { tenantId: equalsId(filter.tenantId) },
      filter?.public == null ? {} : { tenantId: filter.public ? null : { not: null } },
      filter?.state == null ? {} : { state: Object.values(ImageState).find((known) => known === filter.state) ?? { in: [] } },
      filter?.search ? { name: containing(filter.search) } : {},
    ],
  };
}
