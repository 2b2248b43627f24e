import type { Server } from 'node:http';

/** How long requests in flight may take once the server stops. */
const STOPPING_MS = 5_000;

/**
 * How long a client may take to say what it wants, and be silent while it is answered: fastify's and node:http's
 * options. Without them one unfinished request holds a connection for ever.
 */
export const SERVER_TIMEOUTS = {
  /** None: limitRequestTime knows which requests may take long. */
  requestTimeout: 0,
  /** Without a byte in either direction; longer than any answer takes. */
  connectionTimeout: 120_000,
  http: { headersTimeout: 10_000, connectionsCheckingInterval: 5_000 },
} as const;

interface Stoppable {
  readonly server: Server;
  close(): Promise<unknown>;
}

/** Stops listening, lets requests in flight finish, and cuts after five seconds what is still open: an unfinished request, too. */
export async function stopServer(app: Stoppable): Promise<void> {
  const deadline = setTimeout(() => app.server.closeAllConnections(), STOPPING_MS);
  try {
    const closed = app.close();
    app.server.closeIdleConnections();
    await closed;
  } finally {
    clearTimeout(deadline);
  }
}
