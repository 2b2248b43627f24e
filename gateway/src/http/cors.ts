import type { FastifyInstance } from 'fastify';
import { addVary } from './vary.ts';

const METHODS = 'GET, HEAD, POST, PUT, PATCH, DELETE';
/** What clients of ours send besides what needs no asking. */
const REQUEST_HEADERS = 'accept, authorization, content-type, apollo-require-preflight, idempotency-key, x-apollo-operation-name, x-request-id, traceparent, tracestate, last-event-id';
/** What a page elsewhere may read besides the safelisted. */
const RESPONSE_HEADERS = 'x-request-id, retry-after, ratelimit, ratelimit-policy, location, link';
/** How long a browser may remember a preflight. Chromium keeps none for longer than two hours. */
const MAX_AGE_S = 7_200;

/**
 * Lets pages of these origins read answers: https://fetch.spec.whatwg.org/#http-cors-protocol. Credentials are never
 * allowed, because none travel by themselves: a token is a header that the page sets. Other origins get answers as everyone does,
 * and their browser keeps them from the page.
 */
export function allowOrigins(app: FastifyInstance, allowedOrigins: readonly string[]): void {
  if (allowedOrigins.length === 0) return;
  app.addHook('onRequest', async (request, reply) => {
    const { origin, 'access-control-request-method': wanted } = request.headers;
    const isPreflight = request.method === 'OPTIONS' && origin !== undefined && wanted !== undefined;
    // Also where the origin is not one of ours: a cache must not give that answer to one that is.
    addVary(reply, isPreflight ? 'origin, access-control-request-method, access-control-request-headers' : 'origin');
    const isAllowed = origin !== undefined && allowedOrigins.includes(origin);
    if (isAllowed) reply.header('access-control-allow-origin', origin);
    if (isAllowed && !isPreflight) reply.header('access-control-expose-headers', RESPONSE_HEADERS);
    if (!isPreflight) return undefined;
    if (isAllowed) reply.header('access-control-allow-methods', METHODS).header('access-control-allow-headers', REQUEST_HEADERS).header('access-control-max-age', MAX_AGE_S);
    return reply.code(204).send();
  });
}
