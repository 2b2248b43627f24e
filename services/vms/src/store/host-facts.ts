import { isId } from '@novacron/core';
import type { HostFacts, PlacementRequest } from '@novacron/placement';
import type { Database, Tx } from '../database.ts';

/** What placement decides by, as of now. Of the VMs on a host, only those are read that the request names. */
export async function hostFacts(sql: Database | Tx, { affinity = [], antiAffinity = [] }: Pick<PlacementRequest, 'affinity' | 'antiAffinity'>): Promise<HostFacts[]> {
  const named = [...affinity, ...antiAffinity].filter(isId);
  const hosts = await sql.host.findMany({ include: { vms: { where: { deletedAt: null, id: { in: named } }, select: { id: true } } } });
  return hosts.map((host) => ({
    id: host.id,
    name: host.name,
    state: host.state,
    labels: host.labels as Record<string, unknown>, // checked when the host was registered
    capacity: { vcpus: host.capacityVcpus, memory: Number(host.capacityMemory) },
    allocated: { vcpus: host.allocatedVcpus, memory: Number(host.allocatedMemory) },
    vmIds: new Set(host.vms.map((vm) => vm.id)),
  }));
}
