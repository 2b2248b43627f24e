import type { IncomingMessage } from 'node:http';

/** What of an upgrade says where it is from, and how it came. */
export interface Arrival {
  headers: IncomingMessage['headers'];
  /** One of node:tls says `encrypted`. */
  socket: object;
}

/**
 * Whether a WebSocket may be opened from there. Browsers send cookies and more to whatever address a page names, and
 * always say where the page is from; what says nothing is no browser. A page of our own name that came by plain HTTP can be anybody's: over
 * TLS it is a stranger. Without TLS of ours, there may be a proxy's before us, so that either is our own.
 */
export function isOriginAllowed({ headers, socket }: Arrival, allowedOrigins: readonly string[]): boolean {
  const { origin, host } = headers;
  if (origin === undefined || allowedOrigins.includes(origin)) return true;
  const from = URL.parse(origin);
  if (from === null || !('encrypted' in socket ? ['https:'] : ['http:', 'https:']).includes(from.protocol)) return false;
  return from.host === URL.parse(`${from.protocol}//${host}`)?.host; // in one spelling: of letters, and of the usual port
}
