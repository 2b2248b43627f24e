import type { KeyObject } from 'node:crypto';
import type { ReceiveUpload, RequestContext, Subgraph } from '@novacron/contracts';
import { DomainError } from '@novacron/core';
import { inCarriedTrace } from '@novacron/telemetry';
import fastify, { type FastifyRequest } from 'fastify';
import { GraphQLError } from 'graphql';
import type { Logger } from 'pino';
import { z } from 'zod';
import { formatSubgraphError, type ErrorOrigin } from './error-format.ts';
import { createRequestVerifier } from './internal-token.ts';
import { limitRequestTime, routeUploadedFiles, routeUploads } from './raw-routes.ts';
import { SERVER_TIMEOUTS, stopServer } from './stop-server.ts';
import { createSubgraphExecutor } from './subgraph-executor.ts';

/** Answers one POST of the gateway. What it throws is mapped like a resolver's error. */
export type InternalRoute = (body: unknown, context: RequestContext) => Promise<unknown>;

export interface ServeSubgraphsOptions {
  subgraphs: readonly Subgraph[];
  /** Path -> handler of further POSTs, guarded like a subgraph; the token's audience is the path. */
  extraRoutes?: Readonly<Record<string, InternalRoute>>;
  /** Of the storage role: takes clients' uploads from a gateway, and hands them to agents. Each has its own token in its path. */
  uploads?: { receive: ReceiveUpload; find(token: string): Promise<{ path: string; size: number } | null> };
  host: string;
  /** 0: the system chooses. */
  port: number;
  /** The gateway's public key: what it signed is answered, nothing else is. */
  internalPublicKey: KeyObject;
  logger: Logger;
}

export interface SubgraphServer {
  /** The origin to give to createHttpDataSource. */
  url: string;
  port: number;
  /** Stops listening and waits for requests in flight, five seconds at most. */
  close(): Promise<void>;
}

/** Larger than what clients may send to the gateway: a page of entities makes long lists of representations. */
const BODY_LIMIT = 4 * 2 ** 20;

/** The token carries every role of its viewer: room for a thousand of them. */
const HEADER_LIMIT = 256 * 2 ** 10;

const graphqlBody = z.object({
  query: z.string(),
  operationName: z.string().nullish(),
  variables: z.record(z.string(), z.unknown()).nullish(),
});

/**
 * Serves subgraphs to the gateway over HTTP: POST /<name>/graphql for each, and GET /health for supervisors. Everything
 * but /health needs the gateway's token for that audience and that body.
 */
export async function serveSubgraphs(options: ServeSubgraphsOptions): Promise<SubgraphServer> {
  const { logger, host, port } = options;
  const verify = createRequestVerifier(options.internalPublicKey);
  const app = fastify({
    ...SERVER_TIMEOUTS,
    bodyLimit: BODY_LIMIT,
    http: { ...SERVER_TIMEOUTS.http, maxHeaderSize: HEADER_LIMIT },
    logger: false,
    forceCloseConnections: 'idle',
  });
  limitRequestTime(app);
  // The token is bound to the bytes that came, so they are parsed after it was checked.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (_request, body, done) => done(null, body));

  const guarded = (path: string, audience: string, answer: InternalRoute, onRefused: (request: FastifyRequest, refusal: unknown) => void = () => {}) =>
    app.post(path, async (request, reply) => {
      const body = String(request.body ?? '');
      const token = /^Bearer (\S+)$/.exec(request.headers.authorization ?? '')?.[1];
      const origin: ErrorOrigin = { stage: 'execution', subgraph: audience, requestId: request.id, logger };
      let context: RequestContext;
      try {
        context = await verify(audience, body, token);
      } catch (refusal) {
        onRefused(request, refusal);
        return reply.code(401).send({ errors: [formatSubgraphError(refusal, origin)] });
      }
      try {
        return await inCarriedTrace(request.headers, () => answer(parseJson(body), context));
      } catch (thrown) {
        const error = formatSubgraphError(thrown, { ...origin, requestId: context.requestId });
        return reply.code(error.extensions?.['code'] === 'INTERNAL' ? 500 : 400).send({ errors: [error] });
      }
    });

  for (const subgraph of options.subgraphs) {
    const execute = createSubgraphExecutor(subgraph, logger);
    guarded(`/${subgraph.name}/graphql`, subgraph.name, async (body, context) => {
      const request = graphqlBody.safeParse(body);
      if (!request.success) throw new DomainError('BAD_USER_INPUT', 'The body is no GraphQL request.');
      const { query, operationName, variables } = request.data;
      return execute({ query, operationName: operationName ?? undefined, variables: variables ?? undefined, context });
    }, tellOfRefusal(subgraph));
  }
  for (const [path, route] of Object.entries(options.extraRoutes ?? {})) guarded(path, path, route);
  if (options.uploads) {
    routeUploads(app, options.uploads.receive, (error, requestId) => formatSubgraphError(error, { stage: 'execution', subgraph: 'storage', requestId, logger }));
    routeUploadedFiles(app, options.uploads.find);
  }
  app.get('/health', async () => ({ status: 'ok', subgraphs: options.subgraphs.map((subgraph) => subgraph.name) }));
  app.setErrorHandler((thrown, request, reply) => {
    const { statusCode } = thrown as { statusCode?: number }; // fastify's own refusals carry one
    const isRefusal = statusCode !== undefined && statusCode < 500;
    const error = isRefusal ? new DomainError('BAD_USER_INPUT', 'The request can\'t be read.', { cause: thrown }) : thrown;
    const shown = formatSubgraphError(error, { stage: 'execution', subgraph: 'none', requestId: request.id, logger });
    return reply.code(statusCode ?? 500).send({ errors: [shown] });
  });

  await app.listen({ host, port }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EADDRINUSE') throw error;
    throw new DomainError('CONFLICT', `Port ${port} on ${host} is already in use.`, { cause: error });
  });
  const address = app.server.address();
  const bound = typeof address === 'object' && address !== null ? address.port : port;
  return { url: `http://${host.includes(':') ? `[${host}]` : host}:${bound}`, port: bound, close: () => stopServer(app) };
}

/** Whoever asks a subgraph past the gateway is denied as by the subgraph itself. */
const tellOfRefusal =
  (subgraph: Subgraph) =>
  ({ id, ip, headers }: FastifyRequest, refusal: unknown): void => {
    if (!(refusal instanceof DomainError)) return;
    const context: RequestContext = { viewer: null, requestId: id, address: ip, userAgent: headers['user-agent'] ?? null };
    subgraph.observe?.(context, [new GraphQLError(refusal.message, { originalError: refusal })]);
  };

function parseJson(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch (cause) {
    throw new DomainError('BAD_USER_INPUT', 'The body is no JSON.', { cause });
  }
}
