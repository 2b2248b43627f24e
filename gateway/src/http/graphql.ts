import { isUtf8 } from 'node:buffer';
import { DomainError, type ErrorCode } from '@novacron/core';
import { InvalidDocument } from '@novacron/supergraph';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { GraphQLError, type FormattedExecutionResult, type GraphQLFormattedError } from 'graphql';
import { subscriptionRefused, type Graph } from '../graph.ts';
import { RateLimited } from '../rate-limits/quota.ts';
import { refuseUnasked } from './cross-site.ts';
import { readBody, readSearch } from './graphql-parameters.ts';
import { ANSWER_TYPES, chooseAnswerType, prefersPage, requireJson, type AnswerType } from './media-types.ts';
import { createPatience } from './patience.ts';
import { createPersistedQueries } from './persisted-queries.ts';
import { RequestFault } from './request-fault.ts';
import { addVary } from './vary.ts';

export const GRAPHQL_PATH = '/graphql';
const METHODS = 'GET, HEAD, POST, OPTIONS';

export interface GraphqlRouteOptions<Context> {
  graph: Graph<Context>;
  /** Who asks. What it throws is the whole answer: UNAUTHENTICATED, RATE_LIMITED or UNAVAILABLE. */
  contextOf(request: FastifyRequest): Promise<Context>;
  formatError(thrown: unknown, requestId: string): GraphQLFormattedError;
  /** What a browser gets that opens the address. */
  sendPage?: (reply: FastifyReply) => Promise<FastifyReply>;
  /** How long a client waits for one answer at most, in milliseconds. */
  timeoutMs: number;
}

interface Answer {
  status: number;
  headers?: Readonly<Record<string, string>>;
  result: FormattedExecutionResult;
}

/** Queries and mutations at /graphql, as https://graphql.github.io/graphql-over-http/draft/ says. */
export function routeGraphql<Context>(app: FastifyInstance, options: GraphqlRouteOptions<Context>): void {
  const { graph, contextOf, formatError, sendPage, timeoutMs } = options;
  const persisted = createPersistedQueries();

  async function answer(request: FastifyRequest, reply: FastifyReply, type: AnswerType): Promise<Answer> {
    const isPost = request.method === 'POST';
    if (!isPost) refuseUnasked(request.headers);
    const parameters = isPost ? readBody(request.body) : readSearch(new URL(request.url, 'http://gateway').searchParams);
    const patience = createPatience(reply.raw, timeoutMs);
    let retryable = true;

    async function run(): Promise<Answer> {
      const context = await contextOf(request);
      const prepared = graph.prepare(persisted.resolve(parameters), parameters.operationName, context);
      persisted.keep(parameters);
      const { operation } = prepared.operation;
      if (operation === 'subscription') throw subscriptionRefused();
      if (operation === 'mutation' && !isPost) throw new RequestFault(405, 'A GET only reads: send a mutation by POST.', { allow: 'POST' });
      // What nobody waits for is not read to its end; a mutation is not stopped halfway, and whether it was done is to be looked up.
      retryable = operation === 'query';
      const result = await prepared.run(parameters.variables, context, retryable ? patience.signal : undefined);
      return { status: statusOf('data' in result, type), result };
    }

    const answered = await patience.wait(run());
    if (answered !== null) return answered;
    const late = new DomainError('UNAVAILABLE', `The answer took longer than ${timeoutMs / 1_000} s.`, { retryable });
    return { status: 504, result: { errors: [formatError(late, request.id)] } };
  }

  function refuse(thrown: unknown, request: FastifyRequest, type: AnswerType): Answer {
    const faults = thrown instanceof InvalidDocument ? thrown.errors : [thrown];
    return { ...refusalOf(thrown, type), result: { errors: faults.map((fault) => formatError(fault, request.id)) } };
  }

  const send = (reply: FastifyReply, type: AnswerType, { status, headers = {}, result }: Answer): FastifyReply => {
    addVary(reply, 'accept');
    return reply.code(status).headers({ ...headers, 'cache-control': 'no-store', 'content-type': type }).send(JSON.stringify(result));
  };

  void app.register(async (scope) => {
    scope.removeAllContentTypeParsers();
    const parse = scope.getDefaultJsonParser('error', 'error');
    scope.addContentTypeParser('application/json', { parseAs: 'buffer' }, (request, body: Buffer, done) => {
      if (!isUtf8(body)) return done(new RequestFault(400, 'The body is not in UTF-8.'));
      return parse(request, body.toString(), (error, parsed) => (error ? done(new RequestFault(400, 'The body is no JSON.')) : done(null, parsed)));
    });
    scope.setErrorHandler((thrown, request, reply) => {
      const type = chooseAnswerType(request.headers) ?? ANSWER_TYPES[0];
      const { statusCode = 500 } = thrown as { statusCode?: number }; // fastify's own refusals carry one
      const fault = statusCode === 413 ? new RequestFault(413, 'The request is larger than 256 kB.') : statusCode < 500 ? new RequestFault(statusCode, 'The request can\'t be read.') : thrown;
      return send(reply, type, refuse(fault, request, type));
    });
    scope.addHook('onRequest', async (request) => {
      if (request.method === 'POST') requireJson(request.headers);
    });

    scope.route({
      method: ['GET', 'POST'],
      url: GRAPHQL_PATH,
      async handler(request, reply) {
        if (request.method === 'GET' && sendPage && prefersPage(request.headers)) return sendPage(reply);
        const type = chooseAnswerType(request.headers);
        if (type === null) throw new RequestFault(406, `The answer can be ${ANSWER_TYPES.map((each) => each.split(';')[0]).join(' or ')}.`);
        return send(reply, type, await answer(request, reply, type).catch((thrown: unknown) => refuse(thrown, request, type)));
      },
    });
    scope.route({
      method: ['PUT', 'PATCH', 'DELETE', 'OPTIONS'],
      url: GRAPHQL_PATH,
      onRequest: async (request, reply) => {
        if (request.method === 'OPTIONS') return reply.code(204).header('allow', METHODS).send();
        throw new RequestFault(405, `Send ${METHODS}.`, { allow: METHODS });
      },
      handler: async () => undefined, // never reached
    });
  });
}

/** A document that can't be run is an error of HTTP's only to clients that can tell whose answer it is. */
const statusOf = (hasData: boolean, type: AnswerType): number => (hasData || type === ANSWER_TYPES[0] ? 200 : 400);

/** HTTP's word for what the domain says of a whole request; what it says of one field is no matter of HTTP's. */
const STATUS: Partial<Record<ErrorCode, number>> = { UNAUTHENTICATED: 401, FORBIDDEN: 403, RATE_LIMITED: 429, UNAVAILABLE: 503 };

function refusalOf(thrown: unknown, type: AnswerType): Pick<Answer, 'status' | 'headers'> {
  if (thrown instanceof InvalidDocument) return { status: statusOf(false, type) };
  if (thrown instanceof RequestFault) return { status: thrown.status, headers: thrown.headers };
  // Clients of Apollo's protocol send the document after this; some take any other status for a failure of the network.
  if (thrown instanceof GraphQLError && thrown.extensions['code'] === 'PERSISTED_QUERY_NOT_FOUND') return { status: 200 };
  if (thrown instanceof GraphQLError) return { status: 400 };
  const headers = thrown instanceof RateLimited ? { headers: thrown.fields } : {};
  return { status: STATUS[DomainError.from(thrown).code] ?? 500, ...headers };
}
