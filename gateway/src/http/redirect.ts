import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { SERVER_TIMEOUTS, stopServer } from '@novacron/transport';
import { listening } from './listen.ts';
import { refuseFault, responseWith, securityHeaders } from './security-headers.ts';
import type { Tls } from './tls.ts';

export interface RedirectOptions {
  host: string;
  /** 0: the system chooses. */
  port: number;
  /** Where HTTPS is. */
  httpsPort: number;
  tls: Pick<Tls, 'isFor'>;
}

export interface Redirect {
  port: number;
  close(): Promise<void>;
}

/** A request has no reason to be long: its body is never read. */
const REQUEST_MS = 10_000;

/**
 * The same address by HTTPS: of a name that the certificate is for, null of any other. So nobody is sent elsewhere, whatever the
 * request says of itself.
 */
export function toHttps({ headers, url = '/' }: Pick<IncomingMessage, 'headers' | 'url'>, httpsPort: number, tls: Pick<Tls, 'isFor'>): string | null {
  const { host = '' } = headers;
  const asked = /^[a-z0-9.:[\]-]+$/i.test(host) ? URL.parse(`http://${host}`) : null;
  if (asked === null || !tls.isFor(asked.hostname.replace(/^\[|\]$/g, ''))) return null;
  const port = httpsPort === 443 ? '' : `:${httpsPort}`;
  return `https://${asked.hostname}${port}${url.startsWith('/') ? url : '/'}`;
}

/** Listens for plain HTTP and answers everything with 308 to HTTPS, or 421 where the certificate is for another name. */
export async function openRedirect({ host, port, httpsPort, tls }: RedirectOptions): Promise<Redirect> {
  const options = { ...SERVER_TIMEOUTS.http, requestTimeout: REQUEST_MS, ServerResponse: responseWith(securityHeaders({ isEncrypted: false })) };
  const server = createServer(options, (request, response) => {
    const location = toHttps(request, httpsPort, tls);
    response.setHeader('connection', 'close');
    if (location === null) response.writeHead(421, { 'content-type': 'text/plain' }).end('The certificate is for another name.\n');
    else response.writeHead(308, { location }).end();
  });
  server.on('clientError', refuseFault);
  await listening(once(server.listen(port, host), 'listening'), port, 'NOVACRON_HTTP_REDIRECT_PORT');
  return {
    port: (server.address() as AddressInfo).port, // it listens on a port
    close: () => stopServer({ server, close: () => new Promise((resolve) => server.close(resolve)) }),
  };
}
