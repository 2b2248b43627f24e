import { ApolloGateway, type GraphQLDataSource } from '@apollo/gateway';
import { ApolloServer, type ApolloServerPlugin, type HeaderMap } from '@apollo/server';
import { ApolloServerPluginLandingPageDisabled, ApolloServerPluginUsageReportingDisabled } from '@apollo/server/plugin/disabled';
import type { RequestContext } from '@novacron/contracts';
import { DomainError } from '@novacron/core';
import { DEFAULT_LIMITS, refuseBeyondLimits, refuseDeepVariables, toApolloDataSource, type Limits } from '@novacron/supergraph';
import type { DataSource } from '@novacron/transport';
import { GraphQLError, type FormattedExecutionResult } from 'graphql';
import type { Logger } from 'pino';
import { formatError, hideCompletion, withRequestId } from './errors.ts';
import type { Telemetry } from './telemetry.ts';

export interface GraphRequest {
  query: string;
  operationName?: string;
  variables?: Record<string, unknown>;
}

/** Queries and mutations over the whole graph. Subscriptions are another engine's. */
export interface Graph {
  /** One GraphQL-over-HTTP request, already read; `context` may reject, which is then the answer. */
  answerHttp(
    request: { method: string; headers: HeaderMap; search: string; body: unknown; requestId: string },
    context: () => Promise<RequestContext>,
  ): Promise<{ status: number; headers: Iterable<[string, string]>; body: string }>;
  /** One query or mutation that came over a WebSocket. */
  answer(request: GraphRequest, context: RequestContext): Promise<FormattedExecutionResult>;
  close(): Promise<void>;
}

export interface GraphOptions {
  supergraphSdl: string;
  dataSources: Readonly<Record<string, DataSource>>;
  telemetry: Telemetry;
  /** What one document may be at most. */
  limits?: Limits;
  logger: Logger;
}

/** createGateway has seen to it that only `events` has no data source, and no plan of a query asks it. */
const UNASKED: GraphQLDataSource = {
  process: async () => {
    throw new DomainError('INTERNAL', 'The planner asked the events subgraph, which can only stream.');
  },
};

/** Apollo Server over Apollo Gateway, without their landing page, telemetry and error texts. */
export async function createGraph({ supergraphSdl, dataSources, telemetry, limits = DEFAULT_LIMITS, logger }: GraphOptions): Promise<Graph> {
  // Read from the environment only: https://www.apollographql.com/docs/graphos/routing/data-privacy
  process.env['APOLLO_TELEMETRY_DISABLED'] = 'true';
  const quiet = logger.child({ part: 'apollo' }, { level: 'warn' });
  const gateway = new ApolloGateway({
    supergraphSdl,
    logger: quiet,
    buildService: ({ name }) => {
      const source = dataSources[name];
      return source === undefined ? UNASKED : toApolloDataSource(source);
    },
  });
  const server = new ApolloServer<RequestContext>({
    gateway,
    logger: quiet,
    introspection: true,
    includeStacktraceInErrorResponses: false,
    stopOnTerminationSignals: false,
    parseOptions: { maxTokens: limits.tokens },
    formatError: (formatted, error) => format(formatted, error, logger),
    plugins: [ApolloServerPluginLandingPageDisabled(), ApolloServerPluginUsageReportingDisabled(), operationRules(telemetry, limits, logger)],
  });
  await server.start();

  return {
    answerHttp: ({ method, headers, search, body, requestId }, context) =>
      withRequestId(requestId, async () => {
        const response = await server.executeHTTPGraphQLRequest({
          httpGraphQLRequest: { method, headers, search, body },
          // The last thing that Apollo Server asks for before it validates, which costs more than to measure.
          context: async () => {
            const query = queryOf(body, search);
            if (query !== null) refuseBeyondLimits(query, limits);
            return context();
          },
        });
        if (response.body.kind !== 'complete') throw new DomainError('INTERNAL', 'An answer in parts: @defer is not in the schema.');
        return { status: response.status ?? 200, headers: response.headers, body: response.body.string };
      }),
    answer: (request, context) =>
      withRequestId(context.requestId, async () => {
        const { body } = await server.executeOperation(request, { contextValue: context });
        if (body.kind !== 'single') throw new DomainError('INTERNAL', 'An answer in parts: @defer is not in the schema.');
        return body.singleResult;
      }),
    close: () => server.stop(),
  };
}

/** The document of an HTTP request, as text; null where Apollo Server will say what is wrong, or knows it already by its hash. */
function queryOf(body: unknown, search: string): string | null {
  const fromBody = typeof body === 'object' && body !== null && 'query' in body ? body.query : undefined;
  const query = fromBody ?? new URLSearchParams(search).get('query');
  return typeof query === 'string' ? query : null;
}

/** Apollo names the code of what it found itself only in what it has formatted. */
function format(formatted: { extensions?: Record<string, unknown> }, error: unknown, logger: Logger) {
  if (!(error instanceof GraphQLError)) return formatError(error, logger);
  const extensions = { ...error.extensions, code: formatted.extensions?.['code'] };
  const { nodes = null, source = null, positions = null, path = null, originalError = null } = error;
  return formatError(new GraphQLError(error.message, { nodes, source, positions, path, originalError, extensions }), logger);
}

/** What Apollo Server leaves to us: no subscriptions here, no word of how the answer came about, and the count. */
function operationRules(telemetry: Telemetry, limits: Limits, logger: Logger): ApolloServerPlugin<RequestContext> {
  return {
    async requestDidStart() {
      return {
        async didResolveOperation({ operation, request }) {
          refuseDeepVariables(request.variables, limits);
          if (operation === undefined) {
            throw new GraphQLError('Say in operationName which operation of the document to run.', {
              extensions: { code: 'OPERATION_RESOLUTION_FAILURE', http: { status: 400 } },
            });
          }
          if (operation.operation !== 'subscription') return;
          throw new GraphQLError('Subscribe over a WebSocket (graphql-transport-ws) at this same address.', {
            extensions: { code: 'BAD_REQUEST', http: { status: 400 } },
          });
        },
        async willSendResponse({ operation, response }) {
          if (response.body.kind !== 'single') return;
          const { extensions: _, ...shown } = response.body.singleResult;
          const singleResult = { ...shown, ...hideCompletion(response.body.singleResult, logger) };
          response.body.singleResult = singleResult;
          telemetry.operations.inc({
            type: operation?.operation ?? 'unknown',
            outcome: singleResult.errors === undefined ? 'ok' : 'error',
          });
        },
      };
    },
  };
}

