import type { HostId } from '@novacron/core';
import type { Database } from '../database.ts';
import { withGroups, type NicWithGroups } from '../loaders.ts';

/** NICs that a host is to have all it takes for: of its own VMs, and of those that are on their way to it. */
export const wantedOn = (hostId: HostId) => ({
  state: { in: ['ACTIVE', 'DETACHING'] as ('ACTIVE' | 'DETACHING')[] },
  address: { not: null },
  OR: [{ hostId }, { migrationHostId: hostId }],
});

/** Any NIC that is, or may soon be, on a host: the network's row there stays. */
export const anyOn = (hostId: HostId) => ({ NOT: { state: 'RELEASING' as const }, OR: [{ hostId }, { migrationHostId: hostId }] });

export const nicsOn = (database: Database, hostId: HostId, more: { networkId?: string; vmId?: string; id?: string } = {}): Promise<NicWithGroups[]> =>
  database.nic.findMany({ where: { AND: [wantedOn(hostId), more] }, include: withGroups, orderBy: { id: 'asc' } });
