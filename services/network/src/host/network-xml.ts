import { gatewayOf, netmaskOf, type Cidr } from '../cidr.ts';
import { OVERLAY_MTU } from '../rules.ts';
import { gatewayMac, networkName } from './names.ts';

/** A network as a host is to have it. */
export interface NetworkSpec {
  readonly id: string;
  readonly kind: 'NAT' | 'ISOLATED' | 'OVERLAY';
  /** Its addresses on this host. */
  readonly cidr: Cidr;
}

/** A static DHCP entry: the only kind there is. */
export interface DhcpEntry {
  readonly mac: string;
  readonly address: string;
}

/** Shorter than the time after which an address is given to someone else (prisma/network: free_address); libvirt's least. */
const LEASE_MINUTES = 2;

export const dhcpEntryXml = ({ mac, address }: DhcpEntry): string =>
  `<host mac='${mac}' ip='${address}'><lease expiry='${LEASE_MINUTES}' unit='minutes'/></host>`;

/** https://libvirt.org/formatnetwork.html */
export function networkXml({ id, kind, cidr }: NetworkSpec, entries: readonly DhcpEntry[]): string {
  const name = networkName(id);
  return `<network>
  <name>${name}</name>
  <uuid>${id}</uuid>
  ${kind === 'NAT' ? "<forward mode='nat'/>" : ''}
  <bridge name='${name}' stp='off' delay='0'/>
  ${kind === 'OVERLAY' ? `<mtu size='${OVERLAY_MTU}'/>` : ''}
  <mac address='${gatewayMac(id)}'/>
  <ip address='${gatewayOf(cidr)}' netmask='${netmaskOf(cidr)}'>
    ${entries.length === 0 ? '' : `<dhcp>\n      ${entries.map(dhcpEntryXml).join('\n      ')}\n    </dhcp>`}
  </ip>
</network>
`;
}

/** Is the network that libvirt describes the one that is wanted? Static entries aside: they are changed as they are. */
export function isSameNetwork(xml: string, { id, kind, cidr }: NetworkSpec): boolean {
  const has = (pattern: RegExp): boolean => pattern.test(xml);
  return (
    has(new RegExp(`<bridge name='${networkName(id)}'`)) &&
    has(new RegExp(`<ip address='${gatewayOf(cidr).replaceAll('.', String.raw`\.`)}' netmask='${netmaskOf(cidr).replaceAll('.', String.raw`\.`)}'`)) &&
    has(/<forward mode='nat'/) === (kind === 'NAT')
  );
}

/** The static entries of libvirt's description of a network. */
export const entriesOf = (xml: string): DhcpEntry[] =>
  [...xml.matchAll(/<host mac='([^']+)'(?: name='[^']*')? ip='([^']+)'/g)].map(([, mac = '', address = '']) => ({ mac, address }));

/** What to take away and what to add; those to take away first: an address may go from one NIC to another. */
export function entryChanges(present: readonly DhcpEntry[], wanted: readonly DhcpEntry[]): { remove: DhcpEntry[]; add: DhcpEntry[] } {
  const key = ({ mac, address }: DhcpEntry): string => `${mac} ${address}`;
  const has = (entries: readonly DhcpEntry[]) => {
    const keys = new Set(entries.map(key));
    return (entry: DhcpEntry): boolean => keys.has(key(entry));
  };
  const [isPresent, isWanted] = [has(present), has(wanted)];
  return { remove: present.filter((entry) => !isWanted(entry)), add: wanted.filter((entry) => !isPresent(entry)) };
}
