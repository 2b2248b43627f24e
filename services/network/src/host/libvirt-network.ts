import { AFFECT, LibvirtError, NETWORK_SECTION, NETWORK_UPDATE, type Connection, type NetworkRef } from '@novacron/libvirt';
import { dhcpEntryXml, entriesOf, entryChanges, isSameNetwork, networkXml, type DhcpEntry, type NetworkSpec } from './network-xml.ts';
import type { Tunnels } from './tunnels.ts';

/** The definition, not what runs. Source: libvirt 9.0.0 include/libvirt/libvirt-network.h, VIR_NETWORK_XML_INACTIVE. */
const INACTIVE = 1;

export async function findNetwork(connection: Connection, id: string): Promise<NetworkRef | null> {
  try {
    return await connection.networks.lookupByUuid(id);
  } catch (error) {
    if (error instanceof LibvirtError && error.is('NO_NETWORK')) return null;
    throw error;
  }
}

/** Stops a network and removes its definition; its leases are forgotten with it. */
export async function removeNetwork(connection: Connection, id: string): Promise<void> {
  const network = await findNetwork(connection, id);
  if (!network) return;
  if (await connection.networks.isActive(network)) await connection.networks.destroy(network);
  await connection.networks.undefine(network);
}

/** Brings a network to be defined as wanted, running, and handing out these addresses. True when it was not running. */
export async function settleNetwork(connection: Connection, spec: NetworkSpec, entries: readonly DhcpEntry[]): Promise<boolean> {
  let network = await findNetwork(connection, spec.id);
  if (network && !isSameNetwork(await connection.networks.xml(network, INACTIVE), spec)) {
    await removeNetwork(connection, spec.id);
    network = null;
  }
  network ??= await connection.networks.define(networkXml(spec, entries));
  const isActive = await connection.networks.isActive(network);
  if (isActive && entries.length === 0 && (await connection.networks.dhcpLeases(network)).length > 0) {
    // nobody is on it any more, and libvirt has no way to end a lease: begun anew, it has none
    await removeNetwork(connection, spec.id);
    return settleNetwork(connection, spec, entries);
  }
  await settleEntries(connection, network, entries, isActive);
  await connection.networks.setAutostart(network, true);
  if (!isActive) await connection.networks.start(network);
  return !isActive;
}

/** The host's ends of running guests' NICs, by the domain's description: who stops a network takes them from its bridge. */
export function portsOf(domainXml: string, macs: ReadonlySet<string>): string[] {
  const interfaces = domainXml.match(/<interface [\s\S]*?<\/interface>/g) ?? [];
  return interfaces.flatMap((xml) => {
    const [mac, port] = [/<mac address='([^']+)'/.exec(xml)?.[1], /<target dev='([^']+)'/.exec(xml)?.[1]];
    return mac !== undefined && port !== undefined && macs.has(mac.toLowerCase()) ? [port] : [];
  });
}

async function settleEntries(connection: Connection, network: NetworkRef, entries: readonly DhcpEntry[], isActive: boolean): Promise<void> {
  const present = entriesOf(await connection.networks.xml(network, isActive ? 0 : INACTIVE));
  const { remove, add } = entryChanges(present, entries);
  const flags = AFFECT.CONFIG | (isActive ? AFFECT.LIVE : 0);
  const section = NETWORK_SECTION.IP_DHCP_HOST;
  for (const entry of remove) await connection.networks.update(network, { command: NETWORK_UPDATE.DELETE, section, xml: dhcpEntryXml(entry), flags });
  for (const entry of add) await connection.networks.update(network, { command: NETWORK_UPDATE.ADD_LAST, section, xml: dhcpEntryXml(entry), flags });
}

/** libvirt refuses a network with the addresses of a route of the host's. Source: libvirt 9.0.0 src/network/bridge_driver_linux.c. */
export const isTaken = (error: unknown): boolean => error instanceof LibvirtError && /already in use by interface/.test(error.message);

/** Guests that run while their network is stopped and started come back to it, where commands can be run on the host; else at their next start. */
export async function replug(connection: Connection, tunnels: Tunnels, networkId: string, nics: readonly { vmId: string; mac: string }[]): Promise<void> {
  const macs = new Set(nics.map(({ mac }) => mac));
  const running = nics.length === 0 ? [] : (await connection.domains.list({ active: true })).filter(({ uuid }) => nics.some(({ vmId }) => vmId === uuid));
  if (running.length === 0 || !(await tunnels.canMake())) return;
  for (const domain of running) await tunnels.plug(networkId, portsOf(await connection.domains.xml(domain), macs));
}
