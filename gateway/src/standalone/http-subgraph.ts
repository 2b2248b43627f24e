import { openPool, postJson, type DataSource } from '@novacron/transport';
import type { FormattedExecutionResult } from 'graphql';

/** https://graphql.github.io/graphql-over-http/draft/#sec-Legacy-Watershed */
const ACCEPT = 'application/graphql-response+json, application/json;q=0.9';

/** A subgraph of any make, over kept connections. Nothing is passed on of whoever asks. */
export function createHttpSubgraph<Context>(name: string, url: string): DataSource<Context> {
  const { origin, pathname, search } = new URL(url);
  const pool = openPool(origin);
  return {
    name,
    async process({ query, operationName, variables, signal = new AbortController().signal }) {
      const { body } = await postJson(pool, { path: `${pathname}${search}`, headers: { accept: ACCEPT }, body: JSON.stringify({ query, operationName, variables }), signal });
      return body as FormattedExecutionResult; // what it is instead, readAnswer finds out
    },
    close: () => pool.destroy(),
  };
}
