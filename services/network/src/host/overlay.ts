import { OVERLAY_MTU } from '../rules.ts';
import { networkName, tunnelName } from './names.ts';

/*
 * An overlay on a host is a bridge that libvirt keeps and a VXLAN device (RFC 7348) that is its port. What is for no guest known
 * here goes to every other host of the overlay: one entry of the forwarding table for the address 00:00:00:00:00:00 each. Every
 * host has the overlay's first address and its own DHCP server for its own guests: what asks for them does not leave the tunnel.
 */

export const VXLAN_PORT = 4789;
const ALL_OTHERS = '00:00:00:00:00:00';

export interface Tunnel {
  readonly networkId: string;
  readonly vni: number;
  /** This host's end. */
  readonly local: string;
  /** The other hosts' ends. */
  readonly peers: readonly string[];
  /** The overlay's own address. */
  readonly gateway: string;
}

/** A VXLAN device as `ip -j -d link show` has it, and its entries as `bridge -j fdb show` has them. */
export interface TunnelDevice {
  readonly vni: number;
  readonly local: string | null;
  readonly port: number;
  readonly master: string | null;
  readonly isUp: boolean;
  readonly peers: readonly string[];
  /** The lines of ebtables' chain INPUT that are about it. */
  readonly guards: readonly string[];
}

type Command = readonly string[];

const ebtables = (verb: '-A' | '-D', line: string): Command => ['ebtables', '-t', 'filter', verb, 'INPUT', ...line.split(' ')];

/** What must not come out of the tunnel to this host itself, as ebtables lists it. */
export const guardsOf = (networkId: string, gateway: string): string[] => [
  `-p IPv4 -i ${tunnelName(networkId)} --ip-proto udp --ip-dport 67 -j DROP`,
  `-p ARP -i ${tunnelName(networkId)} --arp-ip-dst ${gateway} -j DROP`,
];

/** The commands that bring a host from what there is to the tunnel that is wanted; none when it is so. */
export function tunnelChanges(present: TunnelDevice | null, wanted: Tunnel): Command[] {
  const { networkId, vni, local, peers, gateway } = wanted;
  const [device, bridge] = [tunnelName(networkId), networkName(networkId)];
  const isSame = present !== null && present.vni === vni && present.local === local && present.port === VXLAN_PORT;
  const base = isSame ? present : null;
  const [guards, oldGuards] = [guardsOf(networkId, gateway), present?.guards ?? []];
  const entry = (verb: 'append' | 'del', peer: string): Command => ['bridge', 'fdb', verb, ALL_OTHERS, 'dev', device, 'dst', peer];
  return [
    ...(present !== null && !isSame ? [['ip', 'link', 'delete', device]] : []),
    ...(base === null
      ? [['ip', 'link', 'add', device, 'mtu', String(OVERLAY_MTU), 'type', 'vxlan', 'id', String(vni), 'local', local, 'dstport', String(VXLAN_PORT)]]
      : []),
    // before anything can come out of it
    ...guards.filter((line) => !oldGuards.includes(line)).map((line) => ebtables('-A', line)),
    ...oldGuards.filter((line) => !guards.includes(line)).map((line) => ebtables('-D', line)),
    ...(base?.master === bridge && base.isUp ? [] : [['ip', 'link', 'set', device, 'master', bridge, 'up']]),
    ...(base?.peers ?? []).filter((peer) => !peers.includes(peer)).map((peer) => entry('del', peer)),
    ...peers.filter((peer) => !base?.peers.includes(peer)).map((peer) => entry('append', peer)),
  ];
}

/** The commands after which nothing of a tunnel is left. */
export const tunnelRemoval = (networkId: string, present: TunnelDevice | null, guards: readonly string[]): Command[] => [
  ...(present === null ? [] : [['ip', 'link', 'delete', tunnelName(networkId)]]),
  ...guards.map((line) => ebtables('-D', line)),
];

interface LinkJson {
  ifname?: string;
  master?: string;
  flags?: string[];
  linkinfo?: { info_data?: { id?: number; local?: string; port?: number } };
}

/** Reads `ip -j -d link show type vxlan`, `bridge -j fdb show dev <tunnel>` and `ebtables -t filter -L INPUT`. */
export function readTunnel(networkId: string, links: string, entries: string, chain: string): TunnelDevice | null {
  const name = tunnelName(networkId);
  const link = (JSON.parse(links || '[]') as LinkJson[]).find(({ ifname }) => ifname === name); // as iproute2 prints it
  if (!link) return null;
  const { id = 0, local = null, port = 0 } = link.linkinfo?.info_data ?? {};
  const peers = (JSON.parse(entries || '[]') as { mac?: string; dst?: string }[]).flatMap(({ mac, dst }) => (mac === ALL_OTHERS && dst ? [dst] : []));
  return { vni: id, local, port, master: link.master ?? null, isUp: link.flags?.includes('UP') ?? false, peers, guards: readGuards(networkId, chain) };
}

export const readGuards = (networkId: string, chain: string): string[] =>
  chain
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line.includes(` -i ${tunnelName(networkId)} `));
