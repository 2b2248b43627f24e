import type { TenantId } from '@novacron/core';
import { byId, containing, equalsId, parsePage, toConnection, type Connection, type PageArguments } from '@novacron/graphql';
import type { Database, VolumeRow } from './database.ts';
import type { Prisma } from './generated/prisma/client.ts';
import { VolumeState } from './generated/prisma/enums.ts';

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

/** What is no state matches nothing. */
const stateOrNothing = (state: string) => Object.values(VolumeState).find((known) => known === state) ?? { in: [] };

function whereFilter(filter: VolumeFilter | null | undefined): Prisma.VolumeWhereInput {
  return {
    ...(filter?.tenantId == null ? {} : { tenantId: equalsId(filter.tenantId) }),
    ...(filter?.poolId == null ? {} : { poolId: equalsId(filter.poolId) }),
    ...(filter?.vmId == null ? {} : { vmId: equalsId(filter.vmId) }),
    ...(filter?.state == null ? {} : { state: stateOrNothing(filter.state) }),
    ...(filter?.search ? { name: containing(filter.search) } : {}),
  };
}
