import type { RequestContext } from '@novacron/contracts';
import {
  createExecutor,
  InvalidDocument,
  type Executor,
  type PreparedOperation,
  type Presentation,
  type Protection,
  type SubgraphSource,
  type Supergraph,
  type SupergraphSource,
} from '@novacron/supergraph';
import { GraphQLError, type FormattedExecutionResult } from 'graphql';
import type { Logger } from 'pino';
import type { OperationObserver } from './observation/operation-observer.ts';
import type { Telemetry } from './telemetry.ts';

export interface GraphRequest {
  query: string;
  operationName?: string | null;
  variables?: Readonly<Record<string, unknown>>;
}

/** Queries and mutations over the whole graph, as it is at the moment. Subscriptions are another engine's. */
export interface Graph<Context = RequestContext> {
  /**
   * An operation that is ready to run, on the supergraph of this moment whatever is loaded before it does. InvalidDocument
   * with GRAPHQL_PARSE_FAILED, GRAPHQL_VALIDATION_FAILED or OPERATION_RESOLUTION_FAILURE.
   */
  prepare(query: string, operationName: string | null, context: Context): PreparedOperation<Context>;
  /** Prepares and runs. Never rejects; without `data` it was refused before anything ran. */
  answer(request: GraphRequest, context: Context, signal?: AbortSignal): Promise<FormattedExecutionResult>;
  close(): void;
}

export interface GraphOptions<Context> {
  supergraphs: SupergraphSource;
  /** Where a supergraph's subgraphs are asked: every one that a query or a mutation needs. */
  sourcesOf(supergraph: Supergraph): Readonly<Record<string, SubgraphSource<Context>>>;
  presentation: Presentation<Context>;
  observer: OperationObserver<Context>;
  /** Makes each run of an operation of this supergraph what its caller pays for: it may reject then, with RATE_LIMITED. */
  charging?: (supergraph: Supergraph) => (prepared: PreparedOperation<Context>) => PreparedOperation<Context>;
  telemetry: Telemetry;
  protection?: Protection<Context>;
  logger: Logger;
}

/** Follows the supergraph: what is under way goes on with the one it began with. */
export function createGraph<Context>(options: GraphOptions<Context>): Graph<Context> {
  const { supergraphs, sourcesOf, presentation, observer, charging, telemetry, protection, logger } = options;
  function executorOf(supergraph: Supergraph): Executor<Context> {
    const executor = createExecutor({ supergraph, dataSources: sourcesOf(supergraph), presentation, protection, onPlan: observer.plan, logger });
    const charged = charging?.(supergraph) ?? ((prepared) => prepared);
    return { prepare: (query, operationName, context) => charged(observer.watch(counted(executor.prepare(query, operationName, context), telemetry))) };
  }
  let executor = executorOf(supergraphs.current);
  const stop = supergraphs.onChange((supergraph) => (executor = executorOf(supergraph)));

  function prepare(query: string, operationName: string | null, context: Context): PreparedOperation<Context> {
    try {
      return executor.prepare(query, operationName, context);
    } catch (thrown) {
      telemetry.operations.inc({ type: 'unknown', outcome: 'error' });
      throw thrown;
    }
  }

  return {
    prepare,
    answer: ({ query, operationName = null, variables = {} }, context, signal) =>
      presentation.inRequest(context, async () => {
        try {
          const prepared = prepare(query, operationName, context);
          if (prepared.operation.operation === 'subscription') throw subscriptionRefused();
          return await prepared.run(variables, context, signal);
        } catch (thrown) {
          return { errors: (thrown instanceof InvalidDocument ? thrown.errors : [thrown]).map((error) => presentation.error(error)) };
        }
      }),
    close: stop,
  };
}

/** What is said where one answer is all that can be given. BAD_REQUEST. */
export const subscriptionRefused = (): GraphQLError =>
  new GraphQLError('Subscribe over a WebSocket (graphql-transport-ws) at this same address.', { extensions: { code: 'BAD_REQUEST' } });

const counted = <Context>(prepared: PreparedOperation<Context>, telemetry: Telemetry): PreparedOperation<Context> => ({
  ...prepared,
  async run(variables, context, signal) {
    const result = await prepared.run(variables, context, signal);
    telemetry.operations.inc({ type: prepared.operation.operation, outcome: result.errors === undefined ? 'ok' : 'error' });
    return result;
  },
});
