import type { GraphQLDataSource } from '@apollo/gateway';
import type { RequestContext } from '@novacron/contracts';
import type { DataSource } from '@novacron/transport';

/** Our data source as Apollo's executor calls it. */
export const toApolloDataSource = (source: DataSource): GraphQLDataSource => ({
  process: ({ request, context }) =>
    source.process({
      query: request.query ?? '',
      operationName: request.operationName,
      variables: request.variables,
      context: context as RequestContext, // the executor hands on what the operation was given
    }) as Promise<object>, // Apollo's type of a result forbids null where GraphQL says null
});
