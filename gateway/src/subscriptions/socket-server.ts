import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { API_TOKEN_PREFIX } from '@novacron/contracts';
import { DomainError, newId } from '@novacron/core';
import { encodeCursor } from '@novacron/supergraph';
import type { Logger } from 'pino';
import { handleProtocols, makeServer } from 'graphql-ws';
import { WebSocketServer, type WebSocket } from 'ws';
import { refuseSocket } from '../http/security-headers.ts';
import { PLAIN_EVENT_PATHS, type Channel, type PlainEvents } from '../plain-events/plain-events.ts';
import { clientAddress, type TrustProxy } from '../rate-limits/client-address.ts';
import type { Place } from '../rate-limits/places.ts';
import { RateLimited } from '../rate-limits/quota.ts';
import type { Refusals } from '../refusals.ts';
import type { Telemetry } from '../telemetry.ts';
import type { Viewers } from '../viewers.ts';
import { CLOSE, CLOSING_MS, Connection } from './connection.ts';
import { isOriginAllowed } from './origin.ts';
import { startPings } from './pings.ts';
import { createProtocol, type ProtocolOptions } from './protocol.ts';
import type { Sessions } from './sessions.ts';

const MESSAGE_LIMIT = 64 * 2 ** 10;
/** How long a client that reads slowly may take to come to where it is told from where to resume. */
const SLOW_CLOSING_MS = 10_000;

export interface SocketServerOptions extends Omit<ProtocolOptions, 'authenticate'> {
  plainEvents: PlainEvents;
  sessions: Sessions;
  viewers: Viewers;
  refusals: Refusals;
  trustProxy: TrustProxy;
  telemetry: Telemetry;
  allowedOrigins: readonly string[];
  logger: Logger;
}

/** A protocol, from the opening of a connection on; returns what to do when it is gone. */
type Speak = (connection: Connection, channel: Channel) => (code: number, reason: string) => Promise<void> | void;

/** WebSockets on the HTTP server's own port: GraphQL (graphql-transport-ws), and plain events. */
export interface SocketServer {
  /** For the HTTP server's 'upgrade' event. */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void;
  /** Closes every socket with 1001 and the cursor from which its client resumes elsewhere. */
  close(): Promise<void>;
}

/** Here and not where it is used: the socket would keep the request that it came by. */
const releaseWith = (socket: Duplex, place: Place): void => void socket.once('close', () => place.release());

/** Accepts sockets, and closes them when their token, their session or their patience ends. */
export function createSocketServer(options: SocketServerOptions): SocketServer {
  const { sessions, viewers, limits, telemetry, logger } = options;
  const connections = new Set<Connection>();
  const server = new WebSocketServer({ noServer: true, perMessageDeflate: false, maxPayload: MESSAGE_LIMIT, handleProtocols });
  server.on('wsClientError', (_error, socket) => refuseSocket(socket, 400, { 'sec-websocket-version': '13' })); // what it is, as RFC 6455 wants it told
  let isClosing = false;
  const protocol = makeServer(createProtocol({ ...options, authenticate }));
  const speakGraphql: Speak = (connection, channel) =>
    protocol.opened(
      {
        ...channel,
        protocol: connection.socket.protocol,
        send: (text) => connection.sendPatiently(text),
        close: (code = CLOSE.badRequest, reason = '') => connection.close(code, reason),
      },
      { connection },
    );
  const speakPlainly: Speak = (connection, channel) => options.plainEvents.open(connection, channel, authenticate);
  const speakers: ReadonlyMap<string, Speak> = new Map([['/graphql', speakGraphql], ...PLAIN_EVENT_PATHS.map((path) => [path, speakPlainly] as const)]);

  /** As over HTTP: what looks like an API token is looked up in the database, and the address pays for that. RATE_LIMITED. */
  async function payForALook({ address }: Connection, token: string): Promise<void> {
    if (token.startsWith(API_TOKEN_PREFIX) && !viewers.knows(token, address)) await limits.allowanceOf({ viewer: null, address }).admit();
  }

  async function authenticate(connection: Connection, token: string): Promise<boolean> {
    try {
      await payForALook(connection, token);
      const authenticated = await viewers.authenticate(token, connection.address);
      connection.signIn(authenticated, await limits.holdConnection({ viewer: authenticated.viewer, address: connection.address }));
      if (!connection.isOpen) return false;
      if (viewers.isCurrent(authenticated)) return true;
      connection.close(CLOSE.forbidden, 'Access changed'); // between the answer and now: nobody was signed in to be closed
    } catch (thrown) {
      const error = DomainError.from(thrown);
      if (error.code === 'UNAUTHENTICATED') {
        options.refusals.token({ requestId: newId(), address: connection.address, userAgent: connection.userAgent });
        connection.close(CLOSE.forbidden, 'Invalid token');
      } else if (error.code === 'RATE_LIMITED') connection.close(CLOSE.tryAgainLater, error.message);
      else {
        logger.error({ err: error }, 'a token could not be checked');
        connection.close(CLOSE.tryAgainLater, 'The token can\'t be checked now');
      }
    }
    return false;
  }

  function cut(connection: Connection): void {
    if (!connection.isOpen) return;
    telemetry.slowSockets.inc();
    const cursor = encodeCursor(connection.settled);
    logger.warn({ userId: connection.viewer?.userId, cursor }, 'a socket was cut: its client reads too slowly');
    connection.close(CLOSE.tooSlow, `Too slow: resume after ${cursor}`, SLOW_CLOSING_MS);
  }

  /** True for a client that sends and does not read, which is cut: answers to it would fill the memory. */
  function isCutUnread(connection: Connection): boolean {
    if (!connection.isUnread) return false;
    telemetry.slowSockets.inc();
    connection.socket.terminate();
    return true;
  }

  /** Takes a place of the address first, which a handshake that fails gives back. */
  async function admit(speak: Speak, request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const address = clientAddress(request, options.trustProxy);
    try {
      const place = await limits.holdConnection({ viewer: null, address });
      releaseWith(socket, place);
      if (socket.closed) place.release();
      else if (isClosing) refuseSocket(socket, 503);
      else server.handleUpgrade(request, socket, head, (ws) => accept(speak, ws, request, address, place));
    } catch (thrown) {
      if (!(thrown instanceof RateLimited)) logger.error({ err: thrown }, 'a socket could not be opened');
      refuseSocket(socket, thrown instanceof RateLimited ? 429 : 503, thrown instanceof RateLimited ? thrown.fields : {});
    }
  }

  function accept(speak: Speak, socket: WebSocket, request: IncomingMessage, address: string | null, place: Place): void {
    const connection = new Connection(socket, request, { address, place, onSlow: cut });
    const letGo = sessions.hold(connection);
    connections.add(connection);
    telemetry.sockets.inc();
    socket.on('error', (err) => logger.debug({ err }, 'a socket failed')); // 'close' follows, which is what matters
    const stopPings = startPings(socket);
    const closed = speak(connection, {
      onMessage: (listener) =>
        socket.on('message', (data) => {
          if (!connection.isOpen || isCutUnread(connection)) return;
          listener(String(data)).catch((err: unknown) => {
            logger.debug({ err }, 'a message that is not of the protocol');
            connection.close(CLOSE.badRequest, 'Invalid message');
          });
        }),
    });
    socket.on('close', (code, reason) => {
      connections.delete(connection);
      stopPings();
      letGo();
      telemetry.sockets.dec();
      connection.forget();
      closed(code, String(reason))?.catch((err: unknown) => logger.error({ err }, 'a socket did not end well'));
    });
  }

  return {
    upgrade(request, socket, head) {
      // Node takes its own listener away before it hands the socket over; an 'error' that nobody hears ends the process.
      socket.on('error', () => socket.destroy());
      const refuse = (status: number) => refuseSocket(socket, status);
      const url = URL.parse(request.url ?? '/', 'http://gateway'); // null for "//", which an HTTP parser lets through
      const speak = url === null ? undefined : speakers.get(url.pathname);
      if (url === null) refuse(400);
      else if (speak === undefined) refuse(404);
      else if (isClosing) refuse(503);
      else if (!isOriginAllowed(request, options.allowedOrigins)) refuse(403);
      else void admit(speak, request, socket, head);
    },
    async close() {
      isClosing = true;
      await Promise.all([...connections].map(leave));
      server.close();
    },
  };
}

/**
 * Sends a client away. Its subscriptions are not completed, which would say that nothing more will come: graphql-ws' clients come
 * back after 1001, and subscribe again.
 */
async function leave(connection: Connection): Promise<void> {
  const { socket } = connection;
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  connection.close(CLOSE.goingAway, connection.subscriptions.size === 0 ? 'The gateway is stopping' : `The gateway is stopping: resume after ${encodeCursor(connection.settled)}`);
  const deadline = setTimeout(() => socket.terminate(), CLOSING_MS); // one that was being closed may have had more time
  if (socket.readyState !== socket.CLOSED) await closed;
  clearTimeout(deadline);
}
