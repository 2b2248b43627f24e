import type { HostId } from '@novacron/core';
import { LibvirtError, type Connection } from '@novacron/libvirt';
import type { Database } from '../database.ts';
import type { NicWithGroups } from '../loaders.ts';
import { antiSpoofXml, groupFilterXml, nicFilterXml } from './filter-xml.ts';
import { ANTI_SPOOF, groupFilterName, nicFilterName } from './names.ts';
import { nicsOn } from './wanted.ts';

/** Defines what NICs need; libvirt leaves alone what is defined like that already. What refers to others comes after them. */
export async function defineFilters(connection: Connection, nics: readonly NicWithGroups[]): Promise<void> {
  if (nics.length === 0) return;
  await connection.filters.define(antiSpoofXml());
  const groups = new Map(nics.flatMap((nic) => nic.groups.map(({ group }) => [group.id, group] as const)));
  for (const group of groups.values()) await connection.filters.define(groupFilterXml(group.id, group.rules));
  for (const nic of nics) await connection.filters.define(nicFilterXml(nic.id, nic.groups.map(({ groupId }) => groupId)));
}

/** Removes a filter; false when something still uses it, or when there is none. */
async function removeFilter(connection: Connection, name: string): Promise<boolean> {
  try {
    await connection.filters.undefine(await connection.filters.lookupByName(name));
    return true;
  } catch (error) {
    if (error instanceof LibvirtError && (error.is('NO_NWFILTER') || error.is('OPERATION_INVALID'))) return false;
    throw error;
  }
}

const NIC_FILTER = /^nc-nic-([0-9a-f-]{36})$/;
const GROUP_FILTER = /^nc-sg-([0-9a-f-]{36})$/;

/**
 * Removes what no NIC of this host needs any more. A NIC's filter that the database knows nothing of is another NovaCron's: it
 * stays. A group's is removed unless another filter refers to it, which libvirt sees to.
 */
export async function sweepFilters(connection: Connection, database: Database, hostId: HostId): Promise<void> {
  const names = (await connection.filters.list()).map(({ name }) => name);
  const present = names.flatMap((name) => NIC_FILTER.exec(name)?.[1] ?? []);
  const nics = await nicsOn(database, hostId);
  const wanted = new Set(nics.map(({ id }) => id));
  const known = await database.nic.findMany({ where: { id: { in: present } }, select: { id: true } });
  for (const { id } of known) if (!wanted.has(id)) await removeFilter(connection, nicFilterName(id));
  await sweepGroups(connection, names, nics);
}

async function sweepGroups(connection: Connection, names: readonly string[], nics: readonly NicWithGroups[]): Promise<void> {
  const wanted = new Set(nics.flatMap((nic) => nic.groups.map(({ groupId }) => groupFilterName(groupId))));
  for (const name of names) if (GROUP_FILTER.test(name) && !wanted.has(name)) await removeFilter(connection, name);
  if (nics.length === 0 && names.includes(ANTI_SPOOF.name)) await removeFilter(connection, ANTI_SPOOF.name);
}

/** Removes these NICs' filters, and those of groups that no other NIC has here. True when none of the NICs' is left. */
export async function removeNicFilters(connection: Connection, database: Database, hostId: HostId, nicIds: readonly string[]): Promise<boolean> {
  for (const id of nicIds) await removeFilter(connection, nicFilterName(id));
  const names = (await connection.filters.list()).map(({ name }) => name);
  await sweepGroups(connection, names, await nicsOn(database, hostId));
  return !nicIds.some((id) => names.includes(nicFilterName(id)));
}
