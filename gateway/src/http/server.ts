import type { IncomingMessage } from 'node:http';
import type { Server } from 'node:tls';
import { DomainError } from '@novacron/core';
import { limitRequestTime, SERVER_TIMEOUTS } from '@novacron/transport';
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import { GraphQLError } from 'graphql';
import type { Logger } from 'pino';
import { chooseRequestId, formatError } from '../errors.ts';
import type { TrustProxy } from '../rate-limits/client-address.ts';
import type { Telemetry } from '../telemetry.ts';
import { allowOrigins } from './cors.ts';
import { tellRateLimits } from './rate-limit-fields.ts';
import { traceRequests } from './request-spans.ts';
import { refuseFault, responseWith, securityHeaders } from './security-headers.ts';
import type { Tls } from './tls.ts';

const BODY_LIMIT = 256 * 2 ** 10;

export interface HttpServerOptions {
  allowedOrigins: readonly string[];
  /** Whose X-Forwarded-* is believed; nobody's unless it is said. */
  trustProxy?: TrustProxy;
  telemetry: Telemetry;
  logger: Logger;
  /** What it speaks HTTPS with; null: it speaks HTTP. */
  tls: Tls | null;
}

/** The HTTP server without routes: TLS, headers, request ids, limits, the other origins that may call, counts, and errors as JSON. */
export function createHttpServer({ allowedOrigins, trustProxy, telemetry, logger, tls }: HttpServerOptions): FastifyInstance {
  const http = { ...SERVER_TIMEOUTS.http, shouldUpgradeCallback: isWebSocket, ServerResponse: responseWith(securityHeaders({ isEncrypted: tls !== null })) };
  const app = fastify({
    logger: false,
    ...SERVER_TIMEOUTS,
    ...(tls === null ? { http } : { https: { ...http, ...tls.options } as never }), // fastify's types would make another server of it, with the same methods
    bodyLimit: BODY_LIMIT,
    trustProxy: trustProxy ?? false,
    forceCloseConnections: 'idle',
    genReqId: (request) => chooseRequestId(request.headers['x-request-id']),
    clientErrorHandler: refuseFault,
    frameworkErrors: (error, request, reply) => void answerError(error, request, reply.header('x-request-id', request.id)),
  });
  tls?.follow(app.server as unknown as Server); // of node:https then, which is one

  limitRequestTime(app);
  traceRequests(app);
  tellRateLimits(app);
  app.removeContentTypeParser('text/plain'); // a foreign page may send that without asking

  app.addHook('onRequest', async (request, reply) => {
    reply.header('x-request-id', request.id);
  });
  allowOrigins(app, allowedOrigins);
  app.addHook('onResponse', async (request, reply) => {
    const route = request.routeOptions.url ?? 'none'; // never the path as it was asked: that has no bounds
    telemetry.httpRequests.inc({ method: request.method, route, status: reply.statusCode });
  });

  app.setNotFoundHandler(async (request, reply) => {
    const error = new DomainError('NOT_FOUND', 'There is nothing at this address; the graph is at /graphql.');
    return reply.code(404).send({ errors: [formatError(error, logger, request.id)] });
  });
  app.setErrorHandler(answerError);
  return app;

  function answerError(thrown: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
    const unavailable = thrown instanceof DomainError && thrown.code === 'UNAVAILABLE';
    const status = unavailable ? 503 : ((thrown as { statusCode?: number }).statusCode ?? 500); // fastify's own refusals carry one
    const error = status < 500 ? new GraphQLError(REFUSALS[status] ?? 'The request can\'t be read.', { extensions: { code: 'BAD_REQUEST' } }) : thrown;
    return reply.code(status).send({ errors: [formatError(error, logger, request.id)] });
  }
}

/** Whoever offers to go on in another protocol, as Java's client does with HTTP/2, is answered in this one. */
const isWebSocket = ({ headers }: IncomingMessage): boolean => headers.upgrade?.toLowerCase() === 'websocket';

const REFUSALS: Readonly<Record<number, string>> = {
  400: 'The body is no JSON.',
  413: 'The request is larger than 256 kB.',
  415: 'Send the request as application/json.',
};
