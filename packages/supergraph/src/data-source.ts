import type { FormattedExecutionResult } from 'graphql';

/** One GraphQL operation for one subgraph. What travels with it besides is the gateway's own. */
export interface SubgraphRequest<Context> {
  query: string;
  operationName?: string | undefined;
  variables?: Record<string, unknown> | undefined;
  context: Context;
  /** Aborted when nobody waits for the answer any more. */
  signal?: AbortSignal | undefined;
}

/**
 * Where a subgraph is asked, wherever it runs. `process` never rejects: what went wrong stands in the result's errors,
 * each with a code.
 */
export interface SubgraphSource<Context> {
  readonly name: string;
  /** Its answers are of its schema by construction, as graphql-js makes them in this process: nobody needs to look. */
  readonly conforms?: true;
  process(request: SubgraphRequest<Context>): Promise<FormattedExecutionResult>;
}
