import type { HostRecord } from '@novacron/agent';
import { DomainError, newId, type HostId } from '@novacron/core';
import { inTransaction, isDuplicate } from '@novacron/database';
import { emit } from '@novacron/operations';
import type { Database, HostRow, Tx } from '../database.ts';
import type { Prisma } from '../generated/prisma/client.ts';

/** What a host's libvirt says of itself. */
export interface HostReport {
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
  (await database.host.findMany({ select: { id: true, name: true, uri: true, migrationUri: true }, orderBy: { id: 'asc' } })).map(({ id, name, uri, migrationUri }) => ({
    id: id as HostId, // brands are added where rows come in
    name,
    uri,
    migrationUri,
  }));

/** The unique column at fault, if the error is a duplicate. */
function duplicateField(error: unknown, fields: readonly string[]): string | null {
  if (!isDuplicate(error)) return null;
  const said = JSON.stringify(error.meta); // PostgreSQL's own words are in it; other words have "name" in them, too
  return fields.find((field) => said.includes(`host_${field}_key`)) ?? null;
}

export async function insertHost(
  database: Database,
  input: { name: string; uri: string; migrationUri: string | null; overlayAddress: string | null; labels: Prisma.InputJsonValue; hypervisorType: string },
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

/** The host, locked until the transaction ends, or NOT_FOUND. */
export async function lockHost(tx: Tx, id: HostId): Promise<HostRow> {
  await tx.$queryRaw`SELECT 1 FROM host WHERE id = ${id}::uuid FOR UPDATE`;
  const host = await tx.host.findUnique({ where: { id } });
  if (!host) throw new DomainError('NOT_FOUND', 'There is no host with this id.');
  return host;
}

/** Writes and tells what is held of a locked host; its state follows, unless it is away. */
export async function holdHost(tx: Tx, host: HostRow, heldState: HostRow['heldState'], drainOperationId: string | null): Promise<HostRow> {
  const state = host.state === 'OFFLINE' ? host.state : (heldState ?? 'ONLINE');
  const after = await tx.host.update({ where: { id: host.id }, data: { heldState, drainOperationId, state, generation: host.generation + 1 } });
  await tellHost(tx, after);
  return after;
}

/** Writes and tells a change of a host, under its row's lock; nothing when `change` answers null. */
async function changeHost(database: Database, id: HostId, change: (host: HostRow, tx: Tx) => Promise<Prisma.HostUpdateInput | null>): Promise<void> {
  await inTransaction(database, async (tx) => {
    await tx.$queryRaw`SELECT 1 FROM host WHERE id = ${id}::uuid FOR UPDATE`;
    const host = await tx.host.findUnique({ where: { id } });
    const data = host && (await change(host, tx));
    if (!host || !data) return;
    await tellHost(tx, await tx.host.update({ where: { id }, data: { ...data, generation: host.generation + 1 } }));
  });
}

/** A report of an agent that another has followed since is not heard. */
const isStale = (host: HostRow, epoch: number): boolean => host.reportedEpoch > BigInt(epoch);

/**
 * Which host answers at a registration's address. One that is another registration's, or that was another host before, is kept
 * OFFLINE, with the reason. @returns the reason; null: it is the one that was registered
 */
export async function identifyHost(database: Database, id: HostId, epoch: number, libvirtUuid: string): Promise<string | null> {
  let problem: string | null = null;
  try {
    await changeHost(database, id, async (host) => {
      if (host.libvirtUuid === null) return { libvirtUuid };
      if (host.libvirtUuid !== libvirtUuid) problem = 'Another machine answers at its address.';
      return null;
    });
  } catch (error) {
    if (duplicateField(error, ['libvirt_uuid']) === null) throw error;
    const first = await database.host.findUnique({ where: { libvirtUuid } });
    problem = `This is the host that is registered as "${first?.name ?? '?'}" already.`;
  }
  if (problem !== null) await setHostOffline(database, id, epoch, problem);
  return problem;
}

/** The agent speaks with the host's libvirt, which is the one that was registered. */
export const setHostOnline = (database: Database, id: HostId, epoch: number, report: HostReport): Promise<void> =>
  changeHost(database, id, async (host) => {
    if (isStale(host, epoch)) return null;
    const next = { ...report, state: host.state === 'OFFLINE' ? (host.heldState ?? ('ONLINE' as const)) : host.state, problem: null, reportedEpoch: BigInt(epoch) };
    const isNews = Object.entries(next).some(([column, value]) => host[column as keyof typeof next] !== value); // its own keys
    return isNews ? { ...next, seenAt: new Date() } : null;
  });

/** Nobody reaches the host now. Its VMs keep what was last seen of them. */
export const setHostOffline = (database: Database, id: HostId, epoch: number, problem: string): Promise<void> =>
  changeHost(database, id, async (host) =>
    isStale(host, epoch) || (host.state === 'OFFLINE' && host.problem === problem) ? null : { state: 'OFFLINE', problem, reportedEpoch: epoch },
  );

/** Hosts whose agent is gone without a word (it was killed) are offline, too. */
export async function setUnattendedHostsOffline(database: Database): Promise<void> {
  const attended = async (sql: Database | Tx) =>
    new Set((await sql.$queryRaw<{ id: string }[]>`SELECT operations.attended_hosts() AS id`).map(({ id }) => id));
  const [hosts, now] = await Promise.all([database.host.findMany({ where: { state: { not: 'OFFLINE' } }, select: { id: true } }), attended(database)]);
  for (const { id } of hosts.filter((host) => !now.has(host.id))) {
    // asked again under the lock: a successor may have come meanwhile, and said so
    await changeHost(database, id as HostId, async (host, tx) =>
      host.state === 'OFFLINE' || (await attended(tx)).has(id) ? null : { state: 'OFFLINE', problem: 'No agent of this host is running.' },
    );
  }
}
