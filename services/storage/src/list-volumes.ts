import { checkText, isId, type TenantId } from '@novacron/core';
import { byId, parsePage, toConnection, type Connection, type PageArguments } from '@novacron/graphql';
import type { Database, VolumeRow } from './database.ts';
import type { Prisma } from './generated/prisma/client.ts';
import { VolumeState } from './generated/prisma/enums.ts';
import { LIMITS } from './rules.ts';

export interface VolumeFilter {
  tenantId?: string | null | undefined;
  poolId?: string | null | undefined;
  vmId?: string | null | undefined;
  state?: string | null | undefined;
  search?: string | null | undefined;
}

/** A page of living volumes of these tenants, oldest first. */
export async function listVolumes(
  database: Database,
  { tenants, filter, paging }: { tenants: readonly TenantId[] | 'all'; filter: VolumeFilter | null | undefined; paging: PageArguments },
): Promise<Connection<VolumeRow>> {
  const page = parsePage(paging);
  const where = { AND: [{ deletedAt: null }, tenants === 'all' ? {} : { tenantId: { in: [...tenants] } }, whereFilter(filter)] };
  const { where: after, ...order } = byId(page);
  const rows = await database.volume.findMany({ where: { AND: [where, after] }, ...order });
  return toConnection(rows, page, (volume) => [volume.id], () => database.volume.count({ where }));
}

/** What is no id, or no state, matches nothing. */
const idOrNothing = (id: string): string | Prisma.UuidFilter => (isId(id) ? id : { in: [] });

const stateOrNothing = (state: string) => Object.values(VolumeState).find((known) => known === state) ?? { in: [] };

function whereFilter(filter: VolumeFilter | null | undefined): Prisma.VolumeWhereInput {
  return {
    ...(filter?.tenantId == null ? {} : { tenantId: idOrNothing(filter.tenantId) }),
    ...(filter?.poolId == null ? {} : { poolId: idOrNothing(filter.poolId) }),
    ...(filter?.vmId == null ? {} : { vmId: idOrNothing(filter.vmId) }),
    ...(filter?.state == null ? {} : { state: stateOrNothing(filter.state) }),
    ...(filter?.search
      ? { name: { contains: checkText(filter.search, 'filter.search', LIMITS.search.most).replaceAll(/[\\%_]/g, String.raw`\$&`), mode: 'insensitive' as const } }
      : {}),
  };
}
