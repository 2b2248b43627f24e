import type { GraphQLDataSource } from '@apollo/gateway';
import type { SubgraphSource } from './data-source.ts';
import type { EntityOrder } from './entity-order.ts';

/** Our data source as Apollo's executor calls it; `order` belongs to one run of an operation. */
export const toApolloDataSource = <Context>(source: SubgraphSource<Context>, signal?: AbortSignal, order?: EntityOrder): GraphQLDataSource => ({
  async process({ request, context, ...asked }) {
    const { query = '', operationName, variables } = request;
    const result = await source.process({
      query,
      operationName,
      variables,
      context: context as Context, // the executor hands on what the operation was given
      signal,
    });
    const representations: unknown = variables?.['representations'];
    const isOfEntities = Array.isArray(representations);
    if (!isOfEntities && result.data) order?.remember(result.data);
    const path = 'pathInIncomingRequest' in asked ? (asked.pathInIncomingRequest ?? []) : [];
    const errors = order && isOfEntities && result.errors ? order.align(result.errors, path, representations) : result.errors;
    return { ...result, ...(errors ? { errors } : {}) } as object; // Apollo's type of a result forbids null where GraphQL says null
  },
});
