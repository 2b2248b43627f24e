import { createHash } from 'node:crypto';
import { buildOperationContext, executeQueryPlan, type ServiceMap } from '@apollo/gateway';
import { operationFromDocument } from '@apollo/federation-internals';
import type { PlanNode, QueryPlan } from '@apollo/query-planner';
import { DomainError } from '@novacron/core';
import {
  execute,
  getArgumentValues,
  getOperationAST,
  getVariableValues,
  Kind,
  parse,
  type DocumentNode,
  type FieldNode,
  type FormattedExecutionResult,
  type GraphQLError,
  type GraphQLSchema,
  type OperationDefinitionNode,
} from 'graphql';
import { LRUCache } from 'lru-cache';
import type { Logger } from 'pino';
import { toApolloDataSource } from '../apollo-data-source.ts';
import type { Permitted } from '../authorization/authorization.ts';
import { checkSources } from '../checked-source.ts';
import type { SubgraphSource } from '../data-source.ts';
import type { Presentation } from '../presentation.ts';
import { createScreening, type Protection } from '../screening.ts';
import type { Supergraph } from '../supergraph.ts';
import { InvalidDocument } from './document.ts';
import { cursorVariable, unconditionalRootField } from './root-field.ts';
import type { StreamArguments } from './stream.ts';

export type Variables = Readonly<Record<string, unknown>>;

/** A subscription operation, parsed, validated and planned: equal for whoever may ask for the same of it. */
export interface PlannedSubscription<Context> {
  /** Equal for the same part of the same operation of the same document. */
  key: string;
  query: string;
  operationName: string | null;
  document: DocumentNode;
  /** The field of Subscription. */
  field: string;
  /** The variable that says where to resume, when nothing else uses it: groups are the same whatever its value. */
  cursorVariable: string | null;
  /** The subgraphs that fill in what the event does not carry. */
  services: ReadonlySet<string>;
  /** The field's arguments as its schema coerces them; BAD_USER_INPUT as a GraphQLError. */
  argumentsOf(variables: Variables): StreamArguments;
  /** One event -> one result, read with the rights of the context. Never rejects. */
  run(value: object, variables: Variables, context: Context): Promise<FormattedExecutionResult>;
}

/** What a document asks for: a subscription, planned, or something that is executed once. */
export type Planned<Context> =
  | {
      subscription: PlannedSubscription<Context>;
      /** What it is estimated to cost each time that it tells something. */
      points: number;
    }
  | { document: DocumentNode };

export interface SubscriptionPlanner<Context> {
  apiSchema: GraphQLSchema;
  /**
   * Plans a subscription: what of it the caller may ask for, and the rest is null with errors. Throws a GraphQLError, or
   * InvalidDocument with several, each with its code: UNAUTHENTICATED or FORBIDDEN where it may not subscribe at all.
   */
  plan(query: string, operationName: string | null, variables: Variables, context: Context): Planned<Context>;
}

/** Clients use few distinct operations; this bounds what a flood of odd ones can hold: in characters of their text, as in executor.ts. */
const KEPT_CHARACTERS = 2 ** 19;

export interface SubscriptionPlannerOptions<Context> {
  supergraph: Supergraph;
  /** Every subgraph that fills in what an event does not carry. */
  dataSources: Readonly<Record<string, SubgraphSource<Context>>>;
  /** The subgraph that streams: its name in the supergraph, and the schema that coerces what events carry. */
  events: { name: string; schema: GraphQLSchema };
  presentation: Presentation<Context>;
  protection?: Protection<Context> | undefined;
  logger: Logger;
}

/** The planner of one supergraph. It keeps what it planned. */
export function createSubscriptionPlanner<Context>({ supergraph, dataSources, events, presentation, protection, logger }: SubscriptionPlannerOptions<Context>): SubscriptionPlanner<Context> {
  const { apiSchema, planning } = supergraph;
  const screening = createScreening(supergraph, protection);
  const documents = new LRUCache<string, { document: DocumentNode; operation: OperationDefinitionNode }>({ maxSize: KEPT_CHARACTERS });
  const plans = new LRUCache<string, PlannedSubscription<Context>>({ maxSize: KEPT_CHARACTERS });
  const quiet = logger.child({ part: 'apollo' }, { level: 'warn' });

  const services: ServiceMap = Object.fromEntries(
    Object.entries(checkSources(planning.translate(dataSources), planning.schema, logger)).map(([name, source]) => [name, toApolloDataSource(source)]),
  );

  /** `document` is what may be asked for of `asked`, whose answers `complete` makes of those to it. */
  function planSubscription(asked: Pick<PlannedSubscription<Context>, 'key' | 'query' | 'operationName'>, operation: OperationDefinitionNode, document: DocumentNode, complete: Permitted['complete']): PlannedSubscription<Context> {
    const rootField = unconditionalRootField(document, operation);
    const name = operation.name?.value;
    const { node } = planning.planner.buildQueryPlan(operationFromDocument(planning.api, document, name === undefined ? {} : { operationName: name }));
    if (node?.kind !== 'Subscription' || node.primary.serviceName !== events.name) {
      throw new DomainError('INTERNAL', `The planner has no subscription for ${rootField.name.value}.`);
    }
    const { primary, rest } = node;
    const event = readPrimary(primary.operation, events.schema);
    const queryPlan: QueryPlan = { kind: 'QueryPlan', node: { kind: 'Sequence', nodes: [primary, ...(rest === undefined ? [] : [rest])] } };
    const operationContext = buildOperationContext({ schema: apiSchema, operationDocument: document, ...(name === undefined ? {} : { operationName: name }) });

    return {
      ...asked,
      document,
      field: event.field.name.value,
      cursorVariable: cursorVariable(document, rootField),
      services: new Set(rest === undefined ? [] : servicesOf(rest)),
      argumentsOf(variables) {
        const coerced = getVariableValues(apiSchema, operation.variableDefinitions ?? [], variables);
        if (coerced.errors) throw new InvalidDocument(coerced.errors);
        const own = getVariableValues(events.schema, event.operation.variableDefinitions ?? [], variables);
        if (own.errors) throw new InvalidDocument(own.errors);
        return getArgumentValues(event.definition, event.field, own.coerced);
      },
      run: (value, variables, context) =>
        presentation.inRequest(context, async () => {
          const source = {
            process: async ({ request }: { request: { variables?: Record<string, unknown> } }) =>
              execute({
                schema: events.schema,
                document: event.document,
                rootValue: { [event.field.name.value]: value },
                variableValues: request.variables ?? {},
              }) as Promise<object>, // as in apollo-data-source.ts
          };
          try {
            const result = await executeQueryPlan(
              queryPlan,
              { ...services, [events.name]: source },
              // The executor reads no more than this of Apollo Server's request context.
              { request: { query: '', variables }, context, logger: quiet, metrics: {} } as unknown as Parameters<typeof executeQueryPlan>[2],
              operationContext,
              planning.schema,
              planning.api,
            );
            const { data = null, errors = [] } = complete({ data: result.data ?? null, errors: (result.errors ?? []) as GraphQLError[] }, variables); // its type promises less than it makes
            return presentation.result({ data, ...(errors.length > 0 ? { errors: errors.map((error) => presentation.error(error)) } : {}), extensions: result.extensions ?? {} });
          } catch (thrown) {
            return { data: null, errors: [presentation.error(thrown)] };
          }
        }),
    };
  }

  return {
    apiSchema,
    plan(query, operationName, variables, context) {
      const hash = createHash('sha256').update(`${operationName ?? ''}\n${query}`).digest('base64url');
      const { document, operation } = documents.get(hash) ?? screening.read(query, operationName, context);
      documents.set(hash, { document, operation }, { size: query.length });
      if (operation.operation !== 'subscription') return { document };
      const points = screening.check(document, operation, variables, context);
      const permitted = screening.permit(document, operation, context);
      if (permitted.refused.length > 0) protection?.onRefused?.(context, { fields: permitted.refused, operation, variables, schema: apiSchema });
      if (permitted.document === null) throw new InvalidDocument(permitted.complete({}, variables).errors ?? []);
      const key = `${hash}${permitted.key}`;
      const subscription = plans.get(key) ?? planSubscription({ key, query, operationName }, operation, permitted.document, permitted.complete);
      plans.set(key, subscription, { size: query.length });
      return { subscription, points };
    },
  };
}

/** The part of a plan that the event itself answers: one operation of the events subgraph, for one field. */
function readPrimary(text: string, schema: GraphQLSchema) {
  const document = parse(text);
  const operation = getOperationAST(document);
  const field = operation?.selectionSet.selections.find((selection): selection is FieldNode => selection.kind === Kind.FIELD);
  const definition = field && schema.getSubscriptionType()?.getFields()[field.name.value];
  if (operation == null || field === undefined || definition === undefined) {
    throw new DomainError('INTERNAL', `The planner asks the events subgraph for what it has not: ${text}`);
  }
  return { document, operation, field, definition };
}

/** Every subgraph that a plan asks. */
function servicesOf(node: PlanNode): string[] {
  switch (node.kind) {
    case 'Fetch':
      return [node.serviceName];
    case 'Flatten':
      return servicesOf(node.node);
    case 'Sequence':
    case 'Parallel':
      return node.nodes.flatMap(servicesOf);
    case 'Condition':
      return [node.ifClause, node.elseClause].flatMap((clause) => (clause === undefined ? [] : servicesOf(clause)));
    case 'Defer':
      throw new DomainError('INTERNAL', '@defer is not in the schema.');
  }
}
