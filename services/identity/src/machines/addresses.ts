import { DomainError } from '@novacron/core';
import ipaddr from 'ipaddr.js';

/** From where a token is taken: no clock, no database. */

const MOST = 50;

const refuse = (message: string) => new DomainError('BAD_USER_INPUT', message, { field: 'addresses' });

/** Networks in the form that is stored: "192.0.2.0/24", "2001:db8::/32"; one address is a network of its own. BAD_USER_INPUT (addresses). */
export function parseNetworks(texts: readonly string[]): string[] {
  if (texts.length > MOST) throw refuse(`A token is limited to at most ${MOST} networks.`);
  return [...new Set(texts.map(parseNetwork))];
}

function parseNetwork(text: string): string {
  const [address = '', bits, ...rest] = text.trim().split('/');
  // IPv4 in four parts only: "10.1" is an address to some, and another one to others
  const isAddress = ipaddr.IPv4.isValidFourPartDecimal(address) || (address.includes(':') && !address.includes('%') && ipaddr.IPv6.isValid(address));
  if (!isAddress || rest.length > 0) throw refuse('A network is written like 192.0.2.0/24 or 2001:db8::/32.');
  const parsed = ipaddr.parse(address);
  const width = parsed.kind() === 'ipv4' ? 32 : 128;
  if (bits !== undefined && (!/^\d{1,3}$/.test(bits) || Number(bits) > width)) throw refuse(`Of this network's address, 0 to ${width} bits are given.`);
  const prefix = bits === undefined ? width : Number(bits);
  const first = parsed.kind() === 'ipv4' ? ipaddr.IPv4.networkAddressFromCIDR(`${address}/${prefix}`) : ipaddr.IPv6.networkAddressFromCIDR(`${address}/${prefix}`);
  return `${first.toString()}/${prefix}`;
}

/** Does a client come from one of the networks? None named: from wherever it comes. */
export function isWithin(networks: readonly string[], address: string | null): boolean {
  if (networks.length === 0) return true;
  if (address === null || !ipaddr.isValid(address)) return false;
  const client = ipaddr.process(address); // IPv4 that came over IPv6 is IPv4
  return networks.some((network) => {
    const [range, bits] = ipaddr.parseCIDR(network);
    return range.kind() === client.kind() && client.match(range, bits);
  });
}
