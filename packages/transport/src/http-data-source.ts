import type { FormattedExecutionResult } from 'graphql';
import type { DataSource } from './data-source.ts';
import { createInternalClient, type InternalClientOptions } from './internal-client.ts';

/** A subgraph in another process, behind serveSubgraphs. */
export function createHttpDataSource(options: InternalClientOptions): DataSource {
  const { name } = options;
  const client = createInternalClient(options);
  return {
    name,
    async process({ query, operationName, variables, context, signal = new AbortController().signal }) {
      const { body } = await client.post(`/${name}/graphql`, name, { query, operationName, variables }, context, signal);
      return body as FormattedExecutionResult; // what it is instead, readAnswer finds out
    },
    close: () => client.close(),
  };
}
