import { createHash } from 'node:crypto';
import { operationFromDocument } from '@apollo/federation-internals';
import { buildOperationContext, executeQueryPlan, type ServiceMap } from '@apollo/gateway';
import type { QueryPlan } from '@apollo/query-planner';
import { getVariableValues, type DocumentNode, type FormattedExecutionResult, type OperationDefinitionNode } from 'graphql';
import { LRUCache } from 'lru-cache';
import type { Logger } from 'pino';
import { toApolloDataSource } from './apollo-data-source.ts';
import { checkSources } from './checked-source.ts';
import type { SubgraphSource } from './data-source.ts';
import type { Limits } from './limits/limits.ts';
import { refuseDeepVariables } from './limits/parse-within.ts';
import type { Presentation } from './presentation.ts';
import { chooseOperation, InvalidDocument, readDocument } from './subscriptions/document.ts';
import type { Supergraph } from './supergraph.ts';

/** One operation of a document, parsed and validated against one supergraph, which it keeps whatever is loaded later. */
export interface PreparedOperation<Context> {
  readonly document: DocumentNode;
  readonly operation: OperationDefinitionNode;
  /** How the subgraphs are asked; planned once. */
  plan(): QueryPlan;
  /** Runs a query or a mutation. Never rejects; without `data` it was refused before anything ran. */
  run(variables: Readonly<Record<string, unknown>>, context: Context, signal?: AbortSignal): Promise<FormattedExecutionResult>;
}

/** Queries and mutations over one supergraph. */
export interface Executor<Context> {
  /** InvalidDocument: GRAPHQL_PARSE_FAILED, GRAPHQL_VALIDATION_FAILED or OPERATION_RESOLUTION_FAILURE. */
  prepare(query: string, operationName: string | null): PreparedOperation<Context>;
}

export interface ExecutorOptions<Context> {
  supergraph: Supergraph;
  /** Every subgraph that a plan of a query or a mutation asks. */
  dataSources: Readonly<Record<string, SubgraphSource<Context>>>;
  presentation: Presentation<Context>;
  /** What one document may be at most. */
  limits?: Limits | undefined;
  logger: Logger;
}

/** What is kept of clients' documents, in characters of their text: what is parsed and planned of one is some 50 times as large. */
const KEPT_CHARACTERS = 2 * 2 ** 20;

/** Plans with Apollo's planner and executes with Apollo Gateway's executor; keeps what it prepared. */
export function createExecutor<Context>({ supergraph, dataSources, presentation, limits, logger }: ExecutorOptions<Context>): Executor<Context> {
  const { apiSchema, planning } = supergraph;
  const sources = checkSources(dataSources, planning.schema, logger);
  const prepared = new LRUCache<string, PreparedOperation<Context>>({ maxSize: KEPT_CHARACTERS });
  const quiet = logger.child({ part: 'apollo' }, { level: 'warn' });

  function prepare(query: string, operationName: string | null): PreparedOperation<Context> {
    const document = readDocument(apiSchema, query, limits);
    const operation = chooseOperation(document, operationName);
    const named = operation.name === undefined ? {} : { operationName: operation.name.value };
    const operationContext = buildOperationContext({ schema: apiSchema, operationDocument: document, ...named });
    let queryPlan: QueryPlan | undefined;
    const plan = () => (queryPlan ??= planning.planner.buildQueryPlan(operationFromDocument(planning.api, document, named)));

    function check(variables: Readonly<Record<string, unknown>>): void {
      refuseDeepVariables(variables, limits);
      const { errors } = getVariableValues(apiSchema, operation.variableDefinitions ?? [], variables);
      if (errors) throw new InvalidDocument(errors);
    }

    async function execute(variables: Readonly<Record<string, unknown>>, context: Context, signal?: AbortSignal): Promise<FormattedExecutionResult> {
      const services: ServiceMap = Object.fromEntries(Object.entries(sources).map(([name, source]) => [name, toApolloDataSource(source, signal)]));
      const result = await executeQueryPlan(
        plan(),
        services,
        // The executor reads no more than this of Apollo Server's request context.
        { request: { query, variables }, context, logger: quiet, metrics: {} } as unknown as Parameters<typeof executeQueryPlan>[2],
        operationContext,
        planning.schema,
        planning.api,
      );
      const errors = result.errors?.map((error) => presentation.error(error));
      return presentation.result({ data: result.data ?? null, ...(errors ? { errors } : {}), extensions: result.extensions ?? {} });
    }

    return {
      document,
      operation,
      plan,
      run: (variables, context, signal) =>
        presentation.inRequest(context, async () => {
          try {
            check(variables);
          } catch (thrown) {
            return { errors: (thrown instanceof InvalidDocument ? thrown.errors : [thrown]).map((error) => presentation.error(error)) };
          }
          return execute(variables, context, signal).catch((thrown: unknown) => ({ data: null, errors: [presentation.error(thrown)] }));
        }),
    };
  }

  return {
    prepare(query, operationName) {
      const key = createHash('sha256').update(`${operationName ?? ''}\n${query}`).digest('base64url');
      const known = prepared.get(key);
      if (known !== undefined) return known;
      const made = prepare(query, operationName);
      prepared.set(key, made, { size: query.length });
      return made;
    },
  };
}
