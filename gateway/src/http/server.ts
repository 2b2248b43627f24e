import { DomainError } from '@novacron/core';
import { limitRequestTime, SERVER_TIMEOUTS } from '@novacron/transport';
import fastify, { type FastifyInstance } from 'fastify';
import { GraphQLError } from 'graphql';
import type { Logger } from 'pino';
import { chooseRequestId, formatError } from '../errors.ts';
import type { Telemetry } from '../telemetry.ts';

const BODY_LIMIT = 256 * 2 ** 10;

export interface HttpServerOptions {
  allowedOrigins: readonly string[];
  telemetry: Telemetry;
  logger: Logger;
}

/** The HTTP server without routes: request ids, limits, the other origins that may call, counts, and errors as JSON. */
export function createHttpServer({ allowedOrigins, telemetry, logger }: HttpServerOptions): FastifyInstance {
  const app = fastify({
    logger: false,
    ...SERVER_TIMEOUTS,
    bodyLimit: BODY_LIMIT,
    forceCloseConnections: 'idle',
    genReqId: (request) => chooseRequestId(request.headers['x-request-id']),
  });

  limitRequestTime(app);
  app.removeContentTypeParser('text/plain'); // a foreign page may send that without asking

  app.addHook('onRequest', async (request, reply) => {
    reply.header('x-request-id', request.id).header('x-content-type-options', 'nosniff');
    const { origin } = request.headers;
    if (origin === undefined || !allowedOrigins.includes(origin)) return undefined;
    reply.header('access-control-allow-origin', origin).header('vary', 'origin').header('access-control-expose-headers', 'x-request-id');
    if (request.method !== 'OPTIONS') return undefined;
    return reply
      .code(204)
      .header('access-control-allow-methods', 'GET, POST, PUT')
      .header('access-control-allow-headers', 'authorization, content-type, x-request-id, apollo-require-preflight')
      .header('access-control-max-age', '600')
      .send();
  });
  app.addHook('onResponse', async (request, reply) => {
    const route = request.routeOptions.url ?? 'none'; // never the path as it was asked: that has no bounds
    telemetry.httpRequests.inc({ method: request.method, route, status: reply.statusCode });
  });

  app.setNotFoundHandler(async (request, reply) => {
    const error = new DomainError('NOT_FOUND', 'There is nothing at this address; the graph is at /graphql.');
    return reply.code(404).send({ errors: [formatError(error, logger, request.id)] });
  });
  app.setErrorHandler((thrown, request, reply) => {
    const unavailable = thrown instanceof DomainError && thrown.code === 'UNAVAILABLE';
    const status = unavailable ? 503 : ((thrown as { statusCode?: number }).statusCode ?? 500); // fastify's own refusals carry one
    const error = status < 500 ? new GraphQLError(REFUSALS[status] ?? 'The request can\'t be read.', { extensions: { code: 'BAD_REQUEST' } }) : thrown;
    return reply.code(status).send({ errors: [formatError(error, logger, request.id)] });
  });
  return app;
}

const REFUSALS: Readonly<Record<number, string>> = {
  400: 'The body is no JSON.',
  413: 'The request is larger than 256 kB.',
  415: 'Send the request as application/json.',
};
