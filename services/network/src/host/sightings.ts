import { isIP } from 'node:net';
import type { HostAgent } from '@novacron/agent';
import type { VmId } from '@novacron/core';
import { isClientError, type Connection, type DomainRef } from '@novacron/libvirt';
import type { Logger } from 'pino';
import type { Database, NicRow } from '../database.ts';
import { findNetwork } from './libvirt-network.ts';

/** Of one interface. */
const MOST_ADDRESSES = 32;
/** How often guests' addresses are looked at; more often while one that has just begun to run has none yet. */
const LOOK_MS = 10_000;
const EAGER_MS = 500;
/** How long a guest may take to ask for its address. */
const EAGER_FOR_MS = 60_000;

export interface Sightings {
  close(): Promise<void>;
}

/** Writes down which addresses guests have, as the host's DHCP servers and the guests' agents say: who asks the graph waits for neither. */
export function startSightings(agent: HostAgent, database: Database, logger: Logger): Sightings {
  const hostId = agent.host.id;
  let eagerUntil = 0;
  let timer: NodeJS.Timeout | undefined;
  let looking: Promise<void> = Promise.resolve();
  let lastFullAt = 0;
  let closed = false;

  const look = async (): Promise<void> => {
    const { connected } = agent;
    const nics = connected && (await database.nic.findMany({ where: { hostId, address: { not: null } } }));
    if (!connected || !nics || nics.length === 0) return;
    const running = new Map((await connected.domains.list({ active: true })).map((domain) => [domain.uuid, domain]));
    const leases = await readLeases(connected, nics.filter(({ vmId }) => running.has(vmId)));
    const isFull = performance.now() - lastFullAt >= LOOK_MS;
    if (isFull) lastFullAt = performance.now();
    for (const [vmId, own] of Map.groupBy(nics, (nic) => nic.vmId as VmId)) {
      const domain = running.get(vmId);
      const isNews = domain && own.some((nic) => leases.has(nic.mac) && !nic.seenAddresses.includes(leases.get(nic.mac) ?? ''));
      const told = domain && (isFull || isNews) ? await askAgent(connected, domain) : null;
      for (const nic of own) {
        const lease = domain && leases.get(nic.mac);
        // an agent that was not asked this time has said nothing new
        const before = domain && told === null && !isFull ? nic.seenAddresses : [];
        const seen = [...new Set([...(lease ? [lease] : []), ...(told?.get(nic.mac) ?? before)])];
        if (seen.join() === nic.seenAddresses.join()) continue;
        await database.nic.updateMany({ where: { id: nic.id, hostId }, data: { seenAddresses: seen, seenAt: new Date() } });
        nic.seenAddresses = seen;
      }
    }
    if (!nics.some((nic) => running.has(nic.vmId) && nic.seenAddresses.length === 0)) eagerUntil = 0;
  };

  const schedule = (ms: number): void => {
    clearTimeout(timer);
    if (closed) return;
    timer = setTimeout(() => {
      looking = look()
        .catch((error: unknown) => {
          if (!closed && agent.connected) logger.warn({ err: error, hostId }, "the guests' addresses could not be looked at; trying again");
        })
        .finally(() => schedule(performance.now() < eagerUntil ? EAGER_MS : LOOK_MS));
    }, ms);
  };
  schedule(0);

  const eager = (): void => {
    eagerUntil = performance.now() + EAGER_FOR_MS;
    schedule(100);
  };
  const unwatch = agent.watch({ onConnected: eager, onLifecycle: eager });

  return {
    async close() {
      closed = true;
      clearTimeout(timer);
      unwatch();
      await looking;
    },
  };
}

/** Addresses by MAC. */
async function readLeases(connection: Connection, nics: readonly NicRow[]): Promise<Map<string, string>> {
  const leases = new Map<string, string>();
  for (const id of new Set(nics.map(({ networkId }) => networkId))) {
    const network = await findNetwork(connection, id);
    for (const { mac, address } of network ? await connection.networks.dhcpLeases(network) : []) if (mac !== null) leases.set(mac.toLowerCase(), address);
  }
  return leases;
}

/** Addresses by MAC; null when no agent answers. */
async function askAgent(connection: Connection, domain: DomainRef): Promise<Map<string, string[]> | null> {
  try {
    const interfaces = await connection.domains.interfaceAddresses(domain, 'agent', { deadlineMs: 6_000 });
    // a guest's agent says what the guest wants it to
    const own = (address: string): boolean => isIP(address) !== 0 && !/^(127\.|::1$|fe80:)/i.test(address);
    return new Map(interfaces.flatMap(({ mac, addresses }) => (mac === null ? [] : [[mac.toLowerCase(), addresses.map(({ address }) => address).filter(own).slice(0, MOST_ADDRESSES)] as const])));
  } catch (error) {
    if (isClientError(error)) return null; // it has none, or it sleeps
    throw error;
  }
}
