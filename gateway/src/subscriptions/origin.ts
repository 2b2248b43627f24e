import type { IncomingHttpHeaders } from 'node:http';

/**
 * Whether a WebSocket may be opened from there. Browsers send cookies and more to whatever address a page names, and
 * always say where the page is from; what says nothing is no browser.
 */
export function isOriginAllowed(headers: IncomingHttpHeaders, allowedOrigins: readonly string[]): boolean {
  const { origin, host } = headers;
  if (origin === undefined || allowedOrigins.includes(origin)) return true;
  return URL.canParse(origin) && host !== undefined && new URL(origin).host === host.toLowerCase();
}
