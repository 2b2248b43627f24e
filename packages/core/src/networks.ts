import ipaddr from 'ipaddr.js';

/**
 * What counts as one address. Of IPv6, whoever rents a machine is given 2^64 at once (RFC 6177): their network counts. What
 * is no address (a proxy may pass on anything) counts together.
 */
export function networkOf(address: string | null): string {
  if (address === null || !ipaddr.isValid(address)) return 'unknown';
  const parsed = ipaddr.process(address); // IPv4 that came over IPv6 is IPv4
  if (parsed.kind() === 'ipv4') return parsed.toString();
  const { parts } = parsed as ipaddr.IPv6; // of the two kinds the other one
  return `${parts.slice(0, 4).map((part) => part.toString(16)).join(':')}::/64`;
}
