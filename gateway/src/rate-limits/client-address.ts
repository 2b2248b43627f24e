import type { IncomingMessage } from 'node:http';
import proxyAddr from '@fastify/proxy-addr';

/** Whether an address is a proxy's whose X-Forwarded-For is believed; the second argument counts from the nearest. */
export type TrustProxy = (address: string, hop: number) => boolean;

/** Proxies by their CIDRs. None: X-Forwarded-For is what anyone may write, and counts for nothing. */
export const trustProxies = (cidrs: readonly string[]): TrustProxy => proxyAddr.compile([...cidrs]);

/** Where a request comes from: the nearest address that is no trusted proxy's. For HTTP, fastify's request.ip is the same. */
export function clientAddress(request: IncomingMessage, trust: TrustProxy): string | null {
  return request.socket.remoteAddress === undefined ? null : proxyAddr(request, trust);
}
