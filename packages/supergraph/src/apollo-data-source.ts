import type { GraphQLDataSource } from '@apollo/gateway';
import { getOperationAST, Kind, parse, type FormattedExecutionResult, type GraphQLFormattedError } from 'graphql';
import type { SubgraphSource } from './data-source.ts';

type Variables = Record<string, unknown> | undefined;

/** Our data source as Apollo's executor calls it. */
export const toApolloDataSource = <Context>(source: SubgraphSource<Context>, signal?: AbortSignal): GraphQLDataSource => ({
  async process({ request, context }) {
    const { query = '', operationName, variables } = request;
    const result = await source.process({
      query,
      operationName,
      variables,
      context: context as Context, // the executor hands on what the operation was given
      signal,
    });
    return placeErrors(result, query, variables) as object; // Apollo's type of a result forbids null where GraphQL says null
  },
});

/** Where nothing was answered, no error knows its place: each is said of every field, or of every entity, asked for. */
function placeErrors(result: FormattedExecutionResult, query: string, variables: Variables): FormattedExecutionResult {
  const { errors } = result;
  if (errors === undefined || result.data != null || errors.every(({ path }) => path !== undefined)) return result;
  const paths = askedPaths(query, variables);
  const at = (error: GraphQLFormattedError) => (path: (string | number)[]): GraphQLFormattedError => ({ ...error, path });
  return { ...result, errors: errors.flatMap((error) => (error.path === undefined ? paths.map(at(error)) : [error])) };
}

function askedPaths(query: string, variables: Variables): (string | number)[][] {
  const { selections } = getOperationAST(parse(query, { noLocation: true }))?.selectionSet ?? { selections: [] };
  const keys = selections.flatMap((each) => (each.kind === Kind.FIELD ? [(each.alias ?? each.name).value] : []));
  const entities = variables?.['representations'];
  // the executor puts the entity's own place for these two
  return Array.isArray(entities) ? entities.map((_entity, index) => ['_entities', index]) : keys.map((key) => [key]);
}
