import { DomainError } from '@novacron/core';
import type { FormattedExecutionResult } from 'graphql';
import type { DataSource } from './data-source.ts';
import { errorExtensions } from './error-format.ts';
import { createInternalClient, type InternalClientOptions } from './internal-client.ts';

/** A subgraph in another process, behind serveSubgraphs. */
export function createHttpDataSource(options: InternalClientOptions): DataSource {
  const { name } = options;
  const client = createInternalClient(options);
  return {
    name,
    async process({ query, operationName, variables, context }) {
      try {
        const { body } = await client.post(`/${name}/graphql`, name, { query, operationName, variables }, context);
        return body as FormattedExecutionResult; // serveSubgraphs answers nothing else
      } catch (thrown) {
        const error = DomainError.from(thrown);
        return { errors: [{ message: error.message, extensions: errorExtensions(error) }] };
      }
    },
    close: () => client.close(),
  };
}
