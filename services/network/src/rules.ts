import { badInput, checkText } from '@novacron/core';
import { formatCidr, isPrivate, parseAddress, parseCidr } from './cidr.ts';

/** What is accepted of networks, NICs and security groups: pure. */
export const LIMITS = {
  prefix: { largest: 16, smallest: 29 },
  /** VXLAN's network identifiers have 24 bits (RFC 7348). */
  vni: { least: 1, most: 2 ** 24 - 1 },
  rules: { most: 100 },
  groupsOfNic: { most: 5 },
  groupsOfTenant: { most: 500 },
  networksOfTenant: { most: 200 },
  nicsOfVm: { most: 16 },
  description: { most: 255 },
} as const;

/** 1,500 of Ethernet less what VXLAN wraps around a frame (RFC 7348): 20 IPv4, 8 UDP, 8 VXLAN, 14 Ethernet. */
export const OVERLAY_MTU = 1450;

const MAC = /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/;

/** How far a network reaches. */
export const NETWORK_KINDS = ['NAT', 'ISOLATED', 'OVERLAY'] as const;
export type NetworkKind = (typeof NETWORK_KINDS)[number];

/** The range of a network, in its usual form. Private ones only: the host itself has a route to it, so what is there hears what the host says to that range. */
export function checkNetworkCidr(text: string, field = 'cidr'): string {
  const cidr = parseCidr(text);
  if (!cidr) return badInput(field, 'A range is written like 10.1.0.0/24.');
  if (cidr.hostBits) return badInput(field, `This is an address inside of a range: its range is ${formatCidr(cidr)}.`);
  const { largest, smallest } = LIMITS.prefix;
  if (cidr.prefix < largest || cidr.prefix > smallest) return badInput(field, `A network has a range from /${largest} to /${smallest}.`);
  return isPrivate(cidr) ? formatCidr(cidr) : badInput(field, 'A network has a private range: of 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16.');
}

/** In lower case. A group address (the lowest bit of the first byte) can't be a NIC's own (IEEE 802). */
export function checkMac(text: string, field = 'mac'): string {
  const mac = text.toLowerCase();
  if (!MAC.test(mac)) return badInput(field, 'A MAC address is written like 52:54:00:12:34:56.');
  if (Number.parseInt(mac.slice(0, 2), 16) % 2 === 1 || mac === '00:00:00:00:00:00') return badInput(field, 'This MAC address stands for no single NIC.');
  return mac;
}

export const checkAddress = (text: string, field = 'address'): string =>
  parseAddress(text) === null ? badInput(field, 'An address is written like 10.1.0.5.') : text;

export const RULE_DIRECTIONS = ['INGRESS', 'EGRESS'] as const;
export const RULE_PROTOCOLS = ['TCP', 'UDP', 'ICMP', 'ANY'] as const;

/** What a security group lets through. */
export interface CheckedRule {
  direction: (typeof RULE_DIRECTIONS)[number];
  protocol: (typeof RULE_PROTOCOLS)[number];
  portFrom: number | null;
  portTo: number | null;
  /** The other side; null: anyone. */
  cidr: string | null;
}

export interface RuleInput {
  direction: CheckedRule['direction'];
  protocol: CheckedRule['protocol'];
  portFrom?: number | null | undefined;
  portTo?: number | null | undefined;
  cidr?: string | null | undefined;
}

export function checkRules(rules: readonly RuleInput[]): CheckedRule[] {
  if (rules.length > LIMITS.rules.most) badInput('rules', `A security group has at most ${LIMITS.rules.most} rules.`);
  return rules.map((rule, index) => checkRule(rule, `rules.${index}`));
}

function checkRule({ direction, protocol, portFrom, portTo, cidr }: RuleInput, field: string): CheckedRule {
  const from = portFrom ?? portTo ?? null;
  const to = portTo ?? portFrom ?? null;
  const isPort = (port: number): boolean => Number.isInteger(port) && port >= 1 && port <= 65_535;
  if (from !== null && to !== null) {
    if (protocol !== 'TCP' && protocol !== 'UDP') badInput(`${field}.portFrom`, `${protocol} has no ports.`);
    if (!isPort(from)) badInput(`${field}.portFrom`, 'A port is between 1 and 65535.');
    if (!isPort(to)) badInput(`${field}.portTo`, 'A port is between 1 and 65535.');
    if (from > to) badInput(`${field}.portTo`, 'Ports go from the smaller to the larger.');
  }
  return { direction, protocol, portFrom: from, portTo: to, cidr: cidr == null ? null : checkRuleCidr(cidr, `${field}.cidr`) };
}

/** Any range, or one address. */
function checkRuleCidr(text: string, field: string): string {
  const cidr = parseCidr(text.includes('/') ? text : `${text}/32`);
  if (!cidr) return badInput(field, 'A range is written like 10.1.0.0/24, an address like 10.1.0.5.');
  return cidr.hostBits ? badInput(field, `This is an address inside of a range: its range is ${formatCidr(cidr)}.`) : formatCidr(cidr);
}

export const checkDescription = (text: string): string => checkText(text, 'description', LIMITS.description.most);

export function checkKind(kind: string): NetworkKind {
  return NETWORK_KINDS.find((known) => known === kind.toUpperCase()) ?? badInput('kind', `A network is one of ${NETWORK_KINDS.join(', ')}.`);
}
