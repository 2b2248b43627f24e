import type { Viewer } from '@novacron/contracts';
import { DomainError } from '@novacron/core';
import type { Supergraph } from '@novacron/supergraph';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { GraphQLError, type GraphQLFormattedError } from 'graphql';
import type { Logger } from 'pino';
import type { Graph } from '../graph.ts';
import { createPatience } from '../http/patience.ts';
import { answerMethodNotAllowed, answerProblem, shapeOf, toAnswer, type Answer } from './answer.ts';
import { createRestApi, type RestApi } from './api.ts';
import { IDEMPOTENCY_KEY, toVariables } from './request.ts';
import type { Route } from './routes.ts';

/** Where the routes of the graph's fields are. */
export const PREFIX = '/api/v1';

export interface RestOptions<Context extends { viewer: Viewer | null }> {
  graph: Pick<Graph<Context>, 'answer'>;
  /** The graph as it is now: after a reload, another one. */
  supergraph(): Pick<Supergraph, 'apiSchema' | 'authorization'>;
  /** Who asks. UNAUTHENTICATED, RATE_LIMITED or UNAVAILABLE. */
  contextOf(request: FastifyRequest): Promise<Context>;
  formatError(thrown: unknown, requestId: string): GraphQLFormattedError;
  /** Is told of strangers who are sent away before the graph is asked. */
  onStranger?(context: Context, route: Route): void;
  /** How long a client waits for one answer at most. */
  timeoutMs: number;
  logger: Logger;
}

/** REST, for what else is below /api. */
export interface Rest<Context> {
  /** Of the present graph. */
  api(): RestApi;
  contextOf(request: FastifyRequest): Promise<Context>;
  /** Answers a request by one root field. NOT_FOUND when the graph has none of this name. */
  answerField(field: string, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply>;
}

/** Below /api: every root field of the graph by one rule (routes.ts), and what `more` adds. Errors are problem+json. */
export async function routeRest<Context extends { viewer: Viewer | null }>(
  app: FastifyInstance,
  options: RestOptions<Context>,
  more: (scope: FastifyInstance, rest: Rest<Context>) => Promise<void> | void,
): Promise<void> {
  const { graph, contextOf, formatError, timeoutMs, logger } = options;
  const problem = (thrown: unknown, request: FastifyRequest, status?: number): Answer => answerProblem(formatError(thrown, request.id), status);
  const notThere = (request: FastifyRequest): Answer => problem(new DomainError('NOT_FOUND', `There is nothing at this address; what there is, ${PREFIX}/openapi.json says.`), request);

  let derived: { from: ReturnType<typeof options.supergraph>; api: RestApi } | null = null;
  function api(): RestApi {
    const from = options.supergraph();
    if (derived?.from !== from) {
      derived = { from, api: createRestApi(from.apiSchema, from.authorization.isOpen) };
      for (const { field, why } of derived.api.unfit) logger.warn({ field, why }, 'a field has no address in REST');
    }
    return derived.api;
  }

  async function serve(route: Route, id: string | null, request: FastifyRequest, reply: FastifyReply): Promise<Answer> {
    const context = await contextOf(request);
    const present = api();
    if (context.viewer === null && !present.isPublic(route)) {
      options.onStranger?.(context, route);
      throw new DomainError('UNAUTHENTICATED', 'Sign in first: send "Authorization: Bearer <accessToken>".');
    }
    const url = new URL(request.url, 'http://gateway');
    const fields = url.searchParams.get('fields');
    const shape = shapeOf(present, route, fields);
    const key = request.headers[IDEMPOTENCY_KEY.header.toLowerCase()];
    const variables = toVariables(route, { id, query: url.searchParams, body: request.body ?? undefined, idempotencyKey: typeof key === 'string' ? key : null });
    const patience = createPatience(reply.raw, timeoutMs);
    // What nobody waits for is not read to its end; a mutation is not stopped halfway.
    const running = graph.answer({ query: present.document(route, shape), variables }, context, route.kind === 'query' ? patience.signal : undefined);
    const result = await patience.wait(running);
    if (result === null) return problem(new DomainError('UNAVAILABLE', `The answer took longer than ${timeoutMs / 1_000} s.`, { retryable: route.kind === 'query' }), request, 504);
    const question = { api: present, route, shape, url, prefix: PREFIX, isChosen: fields !== null };
    return toAnswer(question, result, (error) => formatError(error, request.id));
  }

  const rest: Rest<Context> = {
    api,
    contextOf,
    async answerField(field, request, reply) {
      const route = api().byField(field);
      return send(reply, route === undefined ? notThere(request) : await serve(route, null, request, reply));
    },
  };

  await app.register(
    async (scope) => {
      const parseJson = scope.getDefaultJsonParser('error', 'error');
      scope.removeContentTypeParser('application/json');
      // Clients say that they send JSON also when they send nothing.
      scope.addContentTypeParser<string>('application/json', { parseAs: 'string' }, (request, body, done) => {
        if (body === '') done(null);
        else void parseJson(request, body, done);
      });
      scope.setErrorHandler((thrown, request, reply) => send(reply, problem(...refusalOf(thrown, request))));
      scope.setNotFoundHandler((request, reply) => send(reply, notThere(request)));
      await more(scope, rest);
      scope.route({
        method: ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'],
        url: '/v1/*',
        async handler(request, reply) {
          const [path = ''] = request.url.slice(PREFIX.length).split('?');
          const matched = api().match(request.method, path);
          if ('route' in matched) return send(reply, await serve(matched.route, matched.id, request, reply));
          if (matched.allowed.length === 0) return send(reply, notThere(request));
          const refusal = new GraphQLError('This address has other methods.', { extensions: { code: 'BAD_REQUEST' } });
          return send(reply, answerMethodNotAllowed(formatError(refusal, request.id), matched.allowed));
        },
      });
    },
    { prefix: '/api' },
  );
}

/** An answer, as fastify sends it. */
export function send(reply: FastifyReply, { status, headers, body }: Answer): FastifyReply {
  return reply
    .code(status)
    .headers({ 'cache-control': 'no-store', ...headers })
    .send(body === null ? undefined : JSON.stringify(body));
}

const REFUSALS: ReadonlyMap<number, string> = new Map([
  [400, 'The body is no JSON.'],
  [413, 'The request is larger than 256 kB.'],
  [415, 'Send the body as application/json.'],
]);

/** Fastify's own refusals carry a status; all else has one by its code. */
function refusalOf(thrown: unknown, request: FastifyRequest): [unknown, FastifyRequest, number?] {
  const status = thrown instanceof Error && 'statusCode' in thrown && typeof thrown.statusCode === 'number' ? thrown.statusCode : 500;
  if (status >= 500) return [thrown, request];
  return [new GraphQLError(REFUSALS.get(status) ?? "The request can't be read.", { extensions: { code: 'BAD_REQUEST' } }), request, status];
}
