import { fromLibvirt, type HostAgent } from '@novacron/agent';
import { newId, type NetworkId } from '@novacron/core';
import { inTransaction } from '@novacron/database';
import type { Connection } from '@novacron/libvirt';
import { cidrOf, formatCidr, overlaps, type Cidr } from '../cidr.ts';
import type { Database, NetworkRow } from '../database.ts';
import type { NicWithGroups } from '../loaders.ts';
import { isTaken, removeNetwork, replug, settleNetwork } from './libvirt-network.ts';
import type { Tunnels } from './tunnels.ts';
import { nicsOn } from './wanted.ts';

interface Options {
  connection: Connection;
  database: Database;
  agent: HostAgent;
  tunnels: Tunnels;
  /** Null: as the database has it. */
  network: NetworkRow | null;
  /** Null: as the database has them. */
  nics: readonly NicWithGroups[] | null;
}

/** Where NovaCron's own network may be: private ranges (RFC 1918) that few others use. Room for every VM of a fleet. */
const CANDIDATES: readonly Cidr[] = [
  ...Array.from({ length: 56 }, (_, index) => cidrOf(`10.${200 + index}.0.0/16`)),
  ...Array.from({ length: 16 }, (_, index) => cidrOf(`172.${31 - index}.0.0/16`)),
  ...Array.from({ length: 100 }, (_, index) => cidrOf(`10.${199 - index}.0.0/16`)),
];

/**
 * Everyone's network: NovaCron's own, on every host, with the same addresses wherever they are free. Its row is made by the
 * first host that is seen, with addresses that are free there; libvirt has the last word on that.
 */
export async function settleDefaultNetwork(options: Options): Promise<void> {
  const { connection, database, agent, tunnels } = options;
  const hostId = agent.host.id;
  const networking = await database.hostNetworking.findUniqueOrThrow({ where: { hostId } });
  const network = options.network ?? (await findOrMake(options));
  const key = { networkId_hostId: { networkId: network.id, hostId } };
  if (networking.mode === 'USER') {
    const up = { cidr: null, state: 'READY', problem: null, seenAt: new Date() } as const;
    await database.networkHost.upsert({ where: key, create: { networkId: network.id, hostId, ...up }, update: up });
    return;
  }
  const nics = options.nics ?? (await nicsOn(database, hostId, { networkId: network.id }));
  const entries = nics.map(({ mac, address }) => ({ mac, address: address ?? '' }));
  const row = await database.networkHost.findUnique({ where: key });
  const isBound = (await database.nic.count({ where: { networkId: network.id, hostId, address: { not: null } } })) > 0;
  const first = cidrOf(row?.cidr ?? network.cidr);
  const candidates = isBound ? [first] : await freeRanges(options, network.id, [first, ...CANDIDATES]);
  for (const cidr of candidates) {
    try {
      if (await settleNetwork(connection, { id: network.id, kind: 'NAT', cidr }, entries)) await replug(connection, tunnels, network.id, nics);
      const up = { cidr: formatCidr(cidr), state: 'READY', problem: null } as const;
      if (row?.state === up.state && row.cidr === up.cidr && row.problem === null) return;
      await database.networkHost.upsert({ where: key, create: { networkId: network.id, hostId, ...up, seenAt: new Date() }, update: { ...up, seenAt: new Date() } });
      return;
    } catch (error) {
      if (isTaken(error) && !isBound) {
        await removeNetwork(connection, network.id);
        continue;
      }
      const down = { state: 'FAILED', problem: fromLibvirt(error).message, seenAt: new Date() } as const;
      await database.networkHost.upsert({ where: key, create: { networkId: network.id, hostId, cidr: formatCidr(cidr), ...down }, update: down });
      throw error;
    }
  }
  const down = { state: 'FAILED', problem: 'Every range of addresses that the default network could have is taken on this host.', seenAt: new Date() } as const;
  await database.networkHost.upsert({ where: key, create: { networkId: network.id, hostId, ...down }, update: down });
}

async function findOrMake(options: Options): Promise<NetworkRow> {
  const { database } = options;
  const known = await database.network.findFirst({ where: { isDefault: true } });
  if (known) return known;
  const [cidr] = await freeRanges(options, null, CANDIDATES);
  return inTransaction(database, async (tx) => {
    await tx.$queryRaw`SELECT pg_advisory_xact_lock(hashtext('network.default'))::text`; // two hosts may be the first
    const made = await tx.network.findFirst({ where: { isDefault: true } });
    if (made) return made;
    const id = newId<NetworkId>();
    return tx.network.create({ data: { id, name: 'default', kind: 'NAT', isDefault: true, cidr: formatCidr(cidr ?? cidrOf('10.200.0.0/16')) } });
  });
}

/** Those that neither another network of ours nor, where the host can be asked, one of its routes overlaps; in their order. */
async function freeRanges({ database, agent, tunnels }: Options, networkId: string | null, ranges: readonly Cidr[]): Promise<Cidr[]> {
  const others = await database.network.findMany({ where: networkId === null ? {} : { id: { not: networkId } }, select: { cidr: true } });
  const own = networkId === null ? null : await database.networkHost.findUnique({ where: { networkId_hostId: { networkId, hostId: agent.host.id } } });
  const routes = (await tunnels.routes()) ?? [];
  // the route of the network itself, where it is up
  const taken = [...others.map((other) => other.cidr), ...routes.filter((route) => route !== own?.cidr)].map(cidrOf);
  return ranges.filter((range) => !taken.some((one) => overlaps(range, one)));
}
