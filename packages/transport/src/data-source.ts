import type { RequestContext } from '@novacron/contracts';
import type { FormattedExecutionResult } from 'graphql';

/** One GraphQL operation for one subgraph, on behalf of whoever the context names. */
export interface SubgraphRequest {
  query: string;
  operationName?: string | undefined;
  variables?: Record<string, unknown> | undefined;
  context: RequestContext;
}

/**
 * Where the gateway asks a subgraph, wherever it runs. `process` never rejects: what went wrong stands in the
 * result's errors, each with a code of the public graph.
 */
export interface DataSource {
  readonly name: string;
  process(request: SubgraphRequest): Promise<FormattedExecutionResult>;
  close(): Promise<void>;
}
