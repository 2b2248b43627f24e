import type { HostRecord } from '@novacron/agent';
import { DomainError, newId, type HostId } from '@novacron/core';
import { emit } from '@novacron/operations';
import type { Database, HostRow, Tx } from '../database.ts';
import { Prisma } from '../generated/prisma/client.ts';

/** What a host's libvirt says of itself. */
export interface HostReport {
  libvirtUuid: string;
  hypervisorType: string;
  hypervisorVersion: string;
  libvirtVersion: string;
  accelerated: boolean;
  cpus: number;
  memory: bigint;
  capacityVcpus: number;
  capacityMemory: bigint;
}

export const listHostRecords = async (database: Database): Promise<HostRecord[]> =>
  (await database.host.findMany({ select: { id: true, name: true, uri: true }, orderBy: { id: 'asc' } })).map(({ id, name, uri }) => ({
    id: id as HostId, // brands are added where rows come in
    name,
    uri,
  }));

/** The unique column at fault, if the error is a duplicate. */
function duplicateField(error: unknown, fields: readonly string[]): string | null {
  if (!(error instanceof Prisma.PrismaClientKnownRequestError) || error.code !== 'P2002') return null;
  const said = JSON.stringify(error.meta); // PostgreSQL's own words are in it; other words have "name" in them, too
  return fields.find((field) => said.includes(`host_${field}_key`)) ?? null;
}

export async function insertHost(
  database: Database,
  input: { name: string; uri: string; migrationUri: string | null; labels: Prisma.InputJsonValue; hypervisorType: string },
): Promise<HostRow> {
  try {
    return await database.$transaction(async (tx) => {
      const host = await tx.host.create({ data: { id: newId(), ...input } });
      await tellHost(tx, host);
      return host;
    });
  } catch (error) {
    const field = duplicateField(error, ['name', 'uri']);
    if (field === null) throw error;
    throw new DomainError('ALREADY_EXISTS', `A host with this ${field} is registered already.`, { field, cause: error });
  }
}

const tellHost = (tx: Tx, host: HostRow): Promise<void> =>
  emit(tx, { type: 'host.changed', entityId: host.id as HostId, tenantId: null, after: { name: host.name, state: host.state } });

async function changeHost(database: Database, id: HostId, change: (host: HostRow) => Prisma.HostUpdateInput | null): Promise<void> {
  await database.$transaction(async (tx) => {
    await tx.$queryRaw`SELECT 1 FROM host WHERE id = ${id}::uuid FOR UPDATE`;
    const host = await tx.host.findUnique({ where: { id } });
    const data = host && change(host);
    if (!host || !data) return;
    await tellHost(tx, await tx.host.update({ where: { id }, data: { ...data, generation: host.generation + 1 } }));
  });
}

/** The agent speaks with the host's libvirt. A host that is another registration's is kept OFFLINE, with the reason. */
export async function setHostOnline(database: Database, id: HostId, report: HostReport): Promise<boolean> {
  try {
    await changeHost(database, id, (host) => ({ ...report, state: host.state === 'OFFLINE' ? 'ONLINE' : host.state, problem: null, seenAt: new Date() }));
    return true;
  } catch (error) {
    if (duplicateField(error, ['libvirt_uuid']) === null) throw error;
    const first = await database.host.findUnique({ where: { libvirtUuid: report.libvirtUuid } });
    await setHostOffline(database, id, `This is the host that is registered as "${first?.name ?? '?'}" already.`);
    return false;
  }
}

/** Nobody reaches the host now. Its VMs keep what was last seen of them. */
export const setHostOffline = (database: Database, id: HostId, problem: string): Promise<void> =>
  changeHost(database, id, (host) => (host.state === 'OFFLINE' && host.problem === problem ? null : { state: 'OFFLINE', problem }));

/** Hosts whose agent is gone without a word (it was killed) are offline, too. */
export async function setUnattendedHostsOffline(database: Database): Promise<void> {
  const unattended = await database.$queryRaw<{ id: HostId }[]>`
    SELECT id FROM host WHERE state <> 'OFFLINE' AND id NOT IN (SELECT operations.attended_hosts())`;
  for (const { id } of unattended) await setHostOffline(database, id, 'No agent of this host is running.');
}
