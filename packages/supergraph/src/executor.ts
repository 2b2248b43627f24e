import { createHash } from 'node:crypto';
import { operationFromDocument } from '@apollo/federation-internals';
import { buildOperationContext, executeQueryPlan, type ServiceMap } from '@apollo/gateway';
import type { QueryPlan } from '@apollo/query-planner';
import type { DocumentNode, FormattedExecutionResult, GraphQLError, OperationDefinitionNode } from 'graphql';
import { LRUCache } from 'lru-cache';
import type { Logger } from 'pino';
import { toApolloDataSource } from './apollo-data-source.ts';
import type { Permitted, RawAnswer } from './authorization/authorization.ts';
import { checkSources } from './checked-source.ts';
import type { SubgraphSource } from './data-source.ts';
import { EntityOrder } from './entity-order.ts';
import type { Presentation } from './presentation.ts';
import { createScreening, type Protection } from './screening.ts';
import { InvalidDocument } from './subscriptions/document.ts';
import type { Supergraph } from './supergraph.ts';

/** One operation of a document, parsed and validated against one supergraph, which it keeps whatever is loaded later. */
export interface PreparedOperation<Context> {
  readonly document: DocumentNode;
  readonly operation: OperationDefinitionNode;
  /** How the subgraphs are asked by whoever may ask for all of it; planned once. */
  plan(): QueryPlan;
  /**
   * Runs a query or a mutation: what of it the caller may ask for, and the rest is null with errors. Never rejects; without
   * `data` it was refused before anything was planned.
   */
  run(variables: Readonly<Record<string, unknown>>, context: Context, signal?: AbortSignal): Promise<FormattedExecutionResult>;
}

/** Queries and mutations over one supergraph. */
export interface Executor<Context> {
  /** InvalidDocument: GRAPHQL_PARSE_FAILED, GRAPHQL_VALIDATION_FAILED or OPERATION_RESOLUTION_FAILURE, with suggestions for who has signed in. */
  prepare(query: string, operationName: string | null, context: Context): PreparedOperation<Context>;
}

export interface ExecutorOptions<Context> {
  supergraph: Supergraph;
  /** Every subgraph that a plan of a query or a mutation asks. */
  dataSources: Readonly<Record<string, SubgraphSource<Context>>>;
  presentation: Presentation<Context>;
  protection?: Protection<Context> | undefined;
  /** Is handed every plan that is about to be carried out: `make` plans, the first time that it is asked for it. */
  onPlan?: ((context: Context, isNew: boolean, make: () => QueryPlan) => Promise<QueryPlan>) | undefined;
  logger: Logger;
}

/** What is kept of clients' documents, in characters of their text: what is parsed and planned of one is some 50 times as large. */
const KEPT_CHARACTERS = 2 * 2 ** 20;

/** What is planned of a document: all of it, or what someone may ask for. */
interface Plannable {
  document: DocumentNode;
  operationContext: ReturnType<typeof buildOperationContext>;
  queryPlan?: QueryPlan;
}

/** Plans with Apollo's planner and executes with Apollo Gateway's executor; keeps what it prepared. */
export function createExecutor<Context>(options: ExecutorOptions<Context>): Executor<Context> {
  const { supergraph, dataSources, presentation, protection, onPlan = async (_context, _isNew, make) => make(), logger } = options;
  const { apiSchema, planning } = supergraph;
  const screening = createScreening(supergraph, protection);
  const sources = checkSources(planning.translate(dataSources), planning.schema, logger);
  const prepared = new LRUCache<string, PreparedOperation<Context>>({ maxSize: KEPT_CHARACTERS });
  const quiet = logger.child({ part: 'apollo' }, { level: 'warn' });

  function prepare(query: string, operationName: string | null, context: Context): PreparedOperation<Context> {
    const { document, operation } = screening.read(query, operationName, context);
    const named = operation.name === undefined ? {} : { operationName: operation.name.value };
    const plannables = new Map<string, Plannable>();

    function plannable(key: string, permitted: DocumentNode): Plannable {
      const known = plannables.get(key) ?? { document: permitted, operationContext: buildOperationContext({ schema: apiSchema, operationDocument: permitted, ...named }) };
      plannables.set(key, known);
      return known;
    }
    const planOf = (one: Plannable): QueryPlan => (one.queryPlan ??= planning.planner.buildQueryPlan(operationFromDocument(planning.api, one.document, named)));

    async function execute(permitted: Permitted, variables: Readonly<Record<string, unknown>>, asking: Context, signal?: AbortSignal): Promise<FormattedExecutionResult> {
      const answer: RawAnswer & { extensions?: Record<string, unknown> } = permitted.document === null ? {} : await ask(plannable(permitted.key, permitted.document), variables, asking, signal);
      const { data = null, errors = [] } = permitted.complete(answer, variables);
      return presentation.result({ data, ...(errors.length > 0 ? { errors: errors.map((error) => presentation.error(error)) } : {}), extensions: answer.extensions ?? {} });
    }

    async function ask(one: Plannable, variables: Readonly<Record<string, unknown>>, asking: Context, signal?: AbortSignal) {
      const order = new EntityOrder();
      const services: ServiceMap = Object.fromEntries(Object.entries(sources).map(([name, source]) => [name, toApolloDataSource(source, signal, order)]));
      const { data = null, errors = [], extensions = {} } = await executeQueryPlan(
        await onPlan(asking, one.queryPlan === undefined, () => planOf(one)),
        services,
        // The executor reads no more than this of Apollo Server's request context.
        { request: { query, variables }, context: asking, logger: quiet, metrics: {} } as unknown as Parameters<typeof executeQueryPlan>[2],
        one.operationContext,
        planning.schema,
        planning.api,
      );
      return { data, errors: errors as readonly GraphQLError[], extensions }; // its type promises less than it makes
    }

    return {
      document,
      operation,
      plan: () => planOf(plannable('', planning.isolateAliases(document).document)),
      run: (variables, asking, signal) =>
        presentation.inRequest(asking, async () => {
          try {
            screening.check(document, operation, variables, asking);
          } catch (thrown) {
            return { errors: (thrown instanceof InvalidDocument ? thrown.errors : [thrown]).map((error) => presentation.error(error)) };
          }
          const permitted = screening.permit(document, operation, asking);
          if (permitted.refused.length > 0) protection?.onRefused?.(asking, { fields: permitted.refused, operation, variables, schema: apiSchema });
          return execute(permitted, variables, asking, signal).catch((thrown: unknown) => ({ data: null, errors: [presentation.error(thrown)] }));
        }),
    };
  }

  return {
    prepare(query, operationName, context) {
      const key = createHash('sha256').update(`${operationName ?? ''}\n${query}`).digest('base64url');
      const known = prepared.get(key);
      if (known !== undefined) return known;
      const made = prepare(query, operationName, context);
      prepared.set(key, made, { size: query.length });
      return made;
    },
  };
}
