import { BlockList, isIP, isIPv4 } from 'node:net';
import { DomainError } from '@novacron/core';

/**
 * IPv4 that is not globally reachable unicast, or leads elsewhere than it says.
 * Source: https://www.iana.org/assignments/iana-ipv4-special-registry
 */
const CLOSED_IPV4 = [
  '0.0.0.0/8', // this network
  '10.0.0.0/8', // private
  '100.64.0.0/10', // carrier-grade NAT; a cloud's metadata at 100.100.100.200
  '127.0.0.0/8', // loopback
  '168.63.129.16/32', // Azure's platform, from inside. Source: https://learn.microsoft.com/azure/virtual-network/what-is-ip-address-168-63-129-16
  '169.254.0.0/16', // link-local; metadata of most clouds at 169.254.169.254
  '172.16.0.0/12', // private
  '192.0.0.0/24', // IETF protocol assignments
  '192.0.2.0/24', // documentation
  '192.88.99.0/24', // 6to4 relays, deprecated
  '192.168.0.0/16', // private
  '198.18.0.0/15', // benchmarks
  '198.51.100.0/24', // documentation
  '203.0.113.0/24', // documentation
  '224.0.0.0/4', // multicast
  '240.0.0.0/4', // reserved, and broadcast
];

/**
 * All global unicast of IPv6. Outside lie loopback, IPv4-mapped, NAT64 (64:ff9b::/96 and 64:ff9b:1::/48), discard-only,
 * segment routing, unique local, link-local and multicast.
 * Source: https://www.iana.org/assignments/ipv6-address-space
 */
const OPEN_IPV6 = ['2000::/3'];

/** What is special within it. Source: https://www.iana.org/assignments/iana-ipv6-special-registry */
const CLOSED_IPV6 = [
  '2001::/23', // IETF protocol assignments, with Teredo, ORCHID and benchmarks
  '2001:db8::/32', // documentation
  '2002::/16', // 6to4: has an IPv4 address inside
  '3fff::/20', // documentation
];

/** A list of CIDRs. Throws a RangeError that names what is none. */
export function addressList(cidrs: readonly string[]): BlockList {
  const list = new BlockList();
  for (const cidr of cidrs) {
    const [address = '', prefix = '', ...more] = cidr.split('/');
    const family = isIP(address);
    const isPrefix = /^\d{1,3}$/.test(prefix) && Number(prefix) <= (family === 4 ? 32 : 128);
    if (family === 0 || !isPrefix || more.length > 0) throw new RangeError(`"${cidr}" is no CIDR, like 192.0.2.0/24 or 2001:db8::/32.`);
    list.addSubnet(address, Number(prefix), family === 4 ? 'ipv4' : 'ipv6');
  }
  return list;
}

const closedIPv4 = addressList(CLOSED_IPV4);
const openIPv6 = addressList(OPEN_IPV6);
const closedIPv6 = addressList(CLOSED_IPV6);
const mappedIPv4 = addressList(['::ffff:0:0/96']);

/** Anyone on the internet reaches the same host by this address. */
export function isPublicAddress(address: string): boolean {
  if (isIPv4(address)) return !closedIPv4.check(address, 'ipv4');
  return isIP(address) === 6 && openIPv6.check(address, 'ipv6') && !closedIPv6.check(address, 'ipv6');
}

/** Says of an address whether images may come from there. */
export type AddressPolicy = (address: string) => boolean;

/** Public addresses, and those in the CIDRs given. An IPv4-mapped address is never one of an IPv4 network. */
export function addressPolicy(allowed: readonly string[]): AddressPolicy {
  const exceptions = addressList(allowed);
  return (address) => {
    if (isPublicAddress(address)) return true;
    if (isIPv4(address)) return exceptions.check(address, 'ipv4');
    // BlockList finds a mapped address in IPv4 networks, too
    return isIP(address) === 6 && !mappedIPv4.check(address, 'ipv6') && exceptions.check(address, 'ipv6');
  };
}

/** Refuses what the policy refuses; `host` is as the URL has it. */
export function requireAllowed(policy: AddressPolicy, host: string, addresses: readonly string[]): void {
  if (addresses.length > 0 && addresses.every((address) => policy(address))) return;
  throw new DomainError('BAD_USER_INPUT', `Images are not fetched from "${host}": its address is not public. An administrator can allow it with NOVACRON_IMPORT_ALLOW.`, { field: 'url' });
}
