import { ServerResponse, STATUS_CODES, type IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { TLSSocket } from 'node:tls';

/** What no page of ours does, and no answer that is opened as one may. */
const CLOSED = ["base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"];
const API_POLICY = ["default-src 'none'", ...CLOSED].join('; ');

/** For pages: nothing from elsewhere, no script that is not a file of ours, in no frame. The editor writes its styles itself. */
export const PAGE_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  "font-src 'self' data:",
  "img-src 'self' data:",
  "connect-src 'self'",
  "worker-src 'self'",
  "manifest-src 'self'",
  ...CLOSED,
].join('; ');

/** What browsers know and none of our pages needs. */
const FEATURES = ['accelerometer', 'camera', 'display-capture', 'geolocation', 'gyroscope', 'magnetometer', 'microphone', 'midi', 'payment', 'usb'];

/** Browsers then ask for this name by HTTPS alone, at every port of it. Of subdomains we know nothing. */
const HSTS = { 'strict-transport-security': `max-age=${365 * 86_400}` };

export type SecurityHeaders = Readonly<Record<string, string>>;

/** What every answer carries; a page has its own content-security-policy. HSTS is said over TLS only: RFC 6797, section 7.2. */
export function securityHeaders({ isEncrypted }: { isEncrypted: boolean }): SecurityHeaders {
  return {
    'content-security-policy': API_POLICY,
    'x-content-type-options': 'nosniff',
    'x-frame-options': 'DENY',
    'x-xss-protection': '0', // browsers' old filter did harm: it is switched off
    'referrer-policy': 'no-referrer',
    'permissions-policy': FEATURES.map((feature) => `${feature}=()`).join(', '),
    'cross-origin-opener-policy': 'same-origin',
    'cross-origin-resource-policy': 'same-origin', // of what is fetched without CORS
    ...(isEncrypted ? HSTS : {}),
  };
}

/**
 * Responses that have the headers from the beginning. A hook of the framework would miss those that never come to it: Node's own to a
 * request without Host or with an Expect, the framework's to a path that can't be decoded, and what a route writes by itself.
 */
export function responseWith(headers: SecurityHeaders): typeof ServerResponse {
  const entries = Object.entries(headers);
  return class extends ServerResponse<IncomingMessage> {
    constructor(...args: ConstructorParameters<typeof ServerResponse>) {
      super(...args);
      for (const [name, value] of entries) this.setHeader(name, value);
    }
  } as typeof ServerResponse; // generic in the request, which nobody here is
}

/** Ends a socket for which there is no response: what came never was a request, or asked for an upgrade. */
export function refuseSocket(socket: Duplex, status: number, more: SecurityHeaders = {}): void {
  if (!socket.writable) {
    socket.destroy();
    return;
  }
  const headers = { ...securityHeaders({ isEncrypted: socket instanceof TLSSocket }), ...more, connection: 'close', 'content-length': '0' };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n${lines.join('')}\r\n`, () => socket.destroy());
}

/** What node:http finds wrong with bytes that are no request. */
const FAULTS: Readonly<Record<string, number>> = { HPE_HEADER_OVERFLOW: 431, ERR_HTTP_REQUEST_TIMEOUT: 408 };

/** For a server's 'clientError'. A connection that failed below HTTP is only cut: what is written to it never ends. */
export function refuseFault({ code = '' }: NodeJS.ErrnoException, socket: Duplex): void {
  if (/^(HPE|ERR_HTTP)_/.test(code)) refuseSocket(socket, FAULTS[code] ?? 400);
  else socket.destroy();
}
