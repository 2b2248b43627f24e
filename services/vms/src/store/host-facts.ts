import type { HostFacts } from '@novacron/placement';
import type { Database, Tx } from '../database.ts';

/** What placement decides by, as of now. */
export async function hostFacts(sql: Database | Tx): Promise<HostFacts[]> {
  const hosts = await sql.host.findMany({ include: { vms: { where: { deletedAt: null }, select: { id: true } } } });
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
