import { cidrOf, formatAddress } from '../cidr.ts';
import type { CheckedRule } from '../rules.ts';
import { ANTI_SPOOF, groupFilterName, nicFilterName } from './names.ts';
import { VXLAN_PORT } from './overlay.ts';

/*
 * Network filters (https://libvirt.org/formatnwfilter.html). Of all filters of a NIC the rule with the least priority comes
 * first. Rules on mac, arp, rarp and ip are ebtables', and see every frame; those on tcp, udp, icmp and all are iptables', and
 * stateful: libvirt lets what answers an accepted connection back by itself.
 */

interface FilterRule {
  action: 'accept' | 'drop';
  direction: 'in' | 'out' | 'inout';
  priority: number;
  /** <mac match='no' srcmacaddr='$MAC'/> */
  match: string;
}

const ruleXml = ({ action, direction, priority, match }: FilterRule): string =>
  `  <rule action='${action}' direction='${direction}' priority='${priority}'>${match}</rule>\n`;

const filterXml = (name: string, uuid: string, references: readonly string[], rules: readonly FilterRule[]): string =>
  `<filter name='${name}' chain='root'>\n  <uuid>${uuid}</uuid>\n${references.map((filter) => `  <filterref filter='${filter}'/>\n`).join('')}${rules.map(ruleXml).join('')}</filter>\n`;

/**
 * What every NIC has: frames leave it with its own MAC address, packets and ARP with its own address too, DHCP answers not at
 * all; nor does anything for the tunnels of overlays, which take a frame for any network from whoever sends it to the host, by any of its
 * addresses (a guest's own tunnel needs another port); besides IPv4 and ARP there is only what QEMU sends for a guest that has moved.
 * $MAC is libvirt's, $IP is NicDevice.address.
 */
export const antiSpoofXml = (): string =>
  filterXml(ANTI_SPOOF.name, ANTI_SPOOF.uuid, [], [
    { action: 'drop', direction: 'out', priority: -900, match: "<mac match='no' srcmacaddr='$MAC'/>" },
    { action: 'drop', direction: 'out', priority: -800, match: "<arp match='no' arpsrcmacaddr='$MAC'/>" },
    // who asks whether an address is free has none yet (RFC 5227)
    { action: 'accept', direction: 'out', priority: -790, match: "<arp arpsrcipaddr='0.0.0.0'/>" },
    { action: 'drop', direction: 'out', priority: -780, match: "<arp match='no' arpsrcipaddr='$IP'/>" },
    { action: 'accept', direction: 'inout', priority: -770, match: '<arp/>' },
    { action: 'accept', direction: 'out', priority: -700, match: "<ip srcipaddr='0.0.0.0' dstipaddr='255.255.255.255' protocol='udp' srcportstart='68' dstportstart='67'/>" },
    { action: 'drop', direction: 'out', priority: -690, match: "<ip match='no' srcipaddr='$IP'/>" },
    { action: 'drop', direction: 'out', priority: -680, match: "<ip protocol='udp' srcportstart='67' dstportstart='68'/>" },
    { action: 'drop', direction: 'out', priority: -675, match: `<ip protocol='udp' dstportstart='${VXLAN_PORT}' dstportend='${VXLAN_PORT}'/>` },
    { action: 'accept', direction: 'inout', priority: -670, match: '<ip/>' },
    { action: 'accept', direction: 'out', priority: -600, match: "<rarp arpsrcmacaddr='$MAC'/>" },
    { action: 'accept', direction: 'in', priority: -600, match: '<rarp/>' },
    { action: 'drop', direction: 'inout', priority: -500, match: '<mac/>' },
  ]);

/** What a NIC with these security groups has; `groupIds` empty: all but what is spoofed. */
export function nicFilterXml(nicId: string, groupIds: readonly string[]): string {
  const references = [ANTI_SPOOF.name, ...groupIds.toSorted().map(groupFilterName)];
  if (groupIds.length === 0) return filterXml(nicFilterName(nicId), nicId, references, []);
  return filterXml(nicFilterName(nicId), nicId, references, [
    { action: 'accept', direction: 'out', priority: 100, match: "<udp srcportstart='68' dstportstart='67'/>" },
    { action: 'accept', direction: 'in', priority: 100, match: "<udp srcportstart='67' dstportstart='68'/>" },
    { action: 'drop', direction: 'inout', priority: 1000, match: '<all/>' },
  ]);
}

/** What a security group lets through. */
export const groupFilterXml = (groupId: string, rules: readonly CheckedRule[]): string =>
  filterXml(groupFilterName(groupId), groupId, [], rules.map((rule) => ({
    action: 'accept',
    direction: rule.direction === 'INGRESS' ? 'in' : 'out',
    priority: 500,
    match: matchOf(rule),
  })));

function matchOf({ direction, protocol, portFrom, portTo, cidr }: CheckedRule): string {
  const attributes: string[] = [];
  const other = cidr === null ? null : cidrOf(cidr);
  if (other !== null && other.prefix > 0) {
    const side = direction === 'INGRESS' ? 'src' : 'dst';
    attributes.push(`${side}ipaddr='${formatAddress(other.base)}'`, `${side}ipmask='${other.prefix}'`);
  }
  if (portFrom !== null && portTo !== null) attributes.push(`dstportstart='${portFrom}'`, `dstportend='${portTo}'`);
  const name = protocol === 'ANY' ? 'all' : protocol.toLowerCase();
  return `<${[name, ...attributes].join(' ')}/>`;
}
