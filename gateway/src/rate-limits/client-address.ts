import type { IncomingMessage } from 'node:http';
import proxyAddr from '@fastify/proxy-addr';
import ipaddr from 'ipaddr.js';

/** Whether an address is a proxy's whose X-Forwarded-For is believed; the second argument counts from the nearest. */
export type TrustProxy = (address: string, hop: number) => boolean;

/** Proxies by their CIDRs. None: X-Forwarded-For is what anyone may write, and counts for nothing. */
export const trustProxies = (cidrs: readonly string[]): TrustProxy => proxyAddr.compile([...cidrs]);

/** Where a request comes from: the nearest address that is no trusted proxy's. For HTTP, fastify's request.ip is the same. */
export function clientAddress(request: IncomingMessage, trust: TrustProxy): string | null {
  return request.socket.remoteAddress === undefined ? null : proxyAddr(request, trust);
}

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
