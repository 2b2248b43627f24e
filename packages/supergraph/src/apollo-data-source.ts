import type { GraphQLDataSource } from '@apollo/gateway';
import type { SubgraphSource } from './data-source.ts';

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
    return result as object; // Apollo's type of a result forbids null where GraphQL says null
  },
});
