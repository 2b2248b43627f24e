import { isId } from '@novacron/core';
import type { HostFacts, PlacementRequest } from '@novacron/placement';
import type { Database, Tx } from '../database.ts';

/** A host as placement sees it, and what a domain there must know of it. */
export interface PlaceableHost extends HostFacts {
  accelerated: boolean;
}

/** What placement decides by, as of now. Of the VMs on a host, only those are read that the request names. */
export async function hostFacts(sql: Database | Tx, { affinity = [], antiAffinity = [] }: Pick<PlacementRequest, 'affinity' | 'antiAffinity'>): Promise<PlaceableHost[]> {
  const named = [...affinity, ...antiAffinity].filter(isId);
  const hosts = await sql.host.findMany();
  const vms = named.length === 0 ? [] : await sql.vm.findMany({ where: { deletedAt: null, id: { in: named } }, select: { id: true, hostId: true } });
  return hosts.map((host) => ({
    id: host.id,
    name: host.name,
    state: host.state,
    labels: host.labels as Record<string, unknown>, // checked when the host was registered
    capacity: { vcpus: host.capacityVcpus, memory: Number(host.capacityMemory) },
    allocated: { vcpus: host.allocatedVcpus, memory: Number(host.allocatedMemory) },
    vmIds: new Set(vms.filter((vm) => vm.hostId === host.id).map((vm) => vm.id)),
    accelerated: host.accelerated,
  }));
}
