import { GraphQLError, Kind, visit, type DocumentNode, type GraphQLSchema, type OperationDefinitionNode } from 'graphql';
import type { Permitted, RefusedField } from './authorization/authorization.ts';
import type { Principal } from './authorization/principal.ts';
import { DEFAULT_LIMITS, type Limits } from './limits/limits.ts';
import { refuseDeepVariables } from './limits/parse-within.ts';
import { chooseOperation, InvalidDocument, readDocument } from './subscriptions/document.ts';
import type { Supergraph } from './supergraph.ts';
import { variableFaults } from './variable-faults.ts';

type Variables = Readonly<Record<string, unknown>>;

/** What was taken out of an operation, since its caller may not ask for it. */
export interface RefusedFields {
  fields: readonly RefusedField[];
  operation: OperationDefinitionNode;
  variables: Variables;
  schema: GraphQLSchema;
}

/** What stands between clients and the planner. */
export interface Protection<Context> {
  /** Who asks; unless told, everyone is a stranger. */
  principalOf?(context: Context): Principal;
  /** May it read the schema? Everyone may unless told. */
  mayIntrospect?(context: Context): boolean;
  /** Is told what was taken out of an operation, when it is run. */
  onRefused?(context: Context, refused: RefusedFields): void;
  /** What one document may be at most. */
  limits?: Limits | undefined;
  /** Points that an operation may cost by its estimate: 5,000; 0: any number. */
  maximumCost?: number | undefined;
}

/** Decides what of clients' documents gets as far as the planner. */
export interface Screening<Context> {
  /** Parses and validates. InvalidDocument: GRAPHQL_PARSE_FAILED, GRAPHQL_VALIDATION_FAILED or OPERATION_RESOLUTION_FAILURE. */
  read(query: string, operationName: string | null, context: Context): { document: DocumentNode; operation: OperationDefinitionNode };
  /** Refuses an operation as a whole, or answers what it is estimated to cost. InvalidDocument: BAD_USER_INPUT (variables, cost), UNAUTHENTICATED or FORBIDDEN (introspection). */
  check(document: DocumentNode, operation: OperationDefinitionNode, variables: Variables, context: Context): number;
  /** What of it may be planned. */
  permit(document: DocumentNode, operation: OperationDefinitionNode, context: Context): Permitted;
}

const MAXIMUM_COST = 5_000;
/** What is told of variables: a list of 80,000 values fits into a request, and each may be wrong. */
const VARIABLE_ERRORS = 20;
/** Where every schema is read. */
const SCHEMA: RefusedField = { type: 'Query', field: '__schema' };
const STRANGER: Principal = { authenticated: false, scopes: new Set() };

export function createScreening<Context>({ apiSchema, costs, authorization, planning }: Supergraph, protection: Protection<Context> = {}): Screening<Context> {
  const { principalOf = () => STRANGER, mayIntrospect = () => true, limits = DEFAULT_LIMITS, maximumCost = MAXIMUM_COST } = protection;
  const introspections = new WeakMap<DocumentNode, boolean>();

  function isIntrospection(document: DocumentNode): boolean {
    const known = introspections.get(document) ?? readsSchema(document);
    introspections.set(document, known);
    return known;
  }

  /** Strangers are told what is wrong, and not what would be right: that is the schema. */
  function forAll<Result>(context: Context, run: () => Result): Result {
    try {
      return run();
    } catch (thrown) {
      if (!(thrown instanceof InvalidDocument) || principalOf(context).authenticated) throw thrown;
      throw new InvalidDocument(thrown.errors.map(withoutSuggestion));
    }
  }

  return {
    read: (query, operationName, context) =>
      forAll(context, () => {
        const document = readDocument(apiSchema, query, limits);
        return { document, operation: chooseOperation(document, operationName) };
      }),
    check: (document, operation, variables, context) =>
      forAll(context, () => {
        refuseDeepVariables(variables, limits);
        const faults = variableFaults(apiSchema, operation, variables, VARIABLE_ERRORS);
        if (faults.length > 0) throw new InvalidDocument(faults);
        if (isIntrospection(document) && !mayIntrospect(context)) {
          protection.onRefused?.(context, { fields: [SCHEMA], operation, variables, schema: apiSchema });
          throw new InvalidDocument([schemaRefused(principalOf(context))]);
        }
        const cost = costs.estimate(document, operation, variables);
        if (maximumCost > 0 && cost > maximumCost) throw new InvalidDocument([tooDear(cost, maximumCost)]);
        return cost;
      }),
    permit(document, operation, context) {
      const permitted = authorization.authorize(document, operation, principalOf(context));
      if (permitted.document === null) return permitted;
      const isolated = planning.isolateAliases(permitted.document);
      return { ...permitted, document: isolated.document, complete: (answer, variables) => permitted.complete(isolated.restore(answer), variables) };
    },
  };
}

function readsSchema(document: DocumentNode): boolean {
  let found = false;
  visit(document, {
    [Kind.FIELD]({ name }) {
      if (name.value === '__schema' || name.value === '__type') found = true;
    },
  });
  return found;
}

const schemaRefused = ({ authenticated }: Principal): GraphQLError =>
  authenticated
    ? new GraphQLError('You may not read the schema.', { extensions: { code: 'FORBIDDEN' } })
    : new GraphQLError('Sign in first: the schema is not shown to strangers.', { extensions: { code: 'UNAUTHENTICATED' } });

const tooDear = (cost: number, maximum: number): GraphQLError =>
  new GraphQLError(`The operation is estimated to cost ${cost} points, and ${maximum} is the maximum: ask for less at once.`, { extensions: { code: 'BAD_USER_INPUT' } });

/** graphql-js ends a message with it: https://github.com/graphql/graphql-js/blob/v16.15.0/src/jsutils/didYouMean.ts */
function withoutSuggestion(error: GraphQLError): GraphQLError {
  // no pattern: a literal that says it thousands of times would have it search for seconds
  const end = error.message.endsWith('?') ? error.message.lastIndexOf(' Did you mean ') : -1;
  if (end === -1) return error;
  const message = error.message.slice(0, end);
  const { nodes = null, source = null, positions = null, path = null, extensions } = error;
  return new GraphQLError(message, { nodes, source, positions, path, extensions });
}
