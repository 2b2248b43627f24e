import { HeaderMap } from '@apollo/server';
import type { RequestContext, Viewer } from '@novacron/contracts';
import { DomainError } from '@novacron/core';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { GraphQLError } from 'graphql';
import type { Graph } from '../graph.ts';
import { userAgentOf } from '../user-agent.ts';
import type { Viewers } from '../viewers.ts';
import type { Playground } from './playground.ts';

/** Queries and mutations at /graphql; a browser that opens the address gets the playground. */
export function routeGraphql(app: FastifyInstance, graph: Graph, viewers: Viewers, playground: Playground): void {
  async function answer(request: FastifyRequest): Promise<{ status: number; headers: Iterable<[string, string]>; body: string }> {
    const headers = new HeaderMap();
    for (const [name, value] of Object.entries(request.headers)) {
      if (value !== undefined) headers.set(name, Array.isArray(value) ? value.join(', ') : value);
    }
    const { search } = new URL(request.url, 'http://gateway');
    const context = async (): Promise<RequestContext> => ({
      viewer: await authenticate(request.headers.authorization, viewers),
      requestId: request.id,
      address: request.ip,
      userAgent: userAgentOf(request.headers),
    });
    return graph.answerHttp({ method: request.method, headers, search, body: request.body, requestId: request.id }, context);
  }

  app.route({
    method: ['GET', 'POST'],
    url: '/graphql',
    async handler(request, reply) {
      if (request.method === 'GET' && request.headers.accept?.includes('text/html')) return playground.send(reply);
      const { status, headers, body } = await answer(request);
      for (const [name, value] of headers) reply.header(name, value);
      return reply.code(status).header('cache-control', 'no-store').send(body);
    },
  });
}

/** Nobody without a token, since some fields need none; a token that is no good is refused whatever the fields. */
async function authenticate(authorization: string | undefined, viewers: Viewers): Promise<Viewer | null> {
  if (authorization === undefined) return null;
  try {
    const token = /^Bearer\s+(\S+)$/i.exec(authorization)?.[1];
    if (token === undefined) throw new DomainError('UNAUTHENTICATED', 'Send the access token as "Authorization: Bearer <token>".');
    return (await viewers.authenticate(token)).viewer;
  } catch (thrown) {
    const error = DomainError.from(thrown);
    const status = { UNAUTHENTICATED: 401, UNAVAILABLE: 503 }[error.code as string] ?? 500;
    throw new GraphQLError(error.message, { originalError: error, extensions: { code: error.code, http: { status } } });
  }
}
