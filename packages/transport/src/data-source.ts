import type { RequestContext } from '@novacron/contracts';
import type { FormattedExecutionResult } from 'graphql';

/** One GraphQL operation for one subgraph, on behalf of whoever the context names. */
export interface SubgraphRequest<Context = RequestContext> {
  query: string;
  operationName?: string | undefined;
  variables?: Record<string, unknown> | undefined;
  context: Context;
  /** Aborted when nobody waits for the answer any more. */
  signal?: AbortSignal | undefined;
}

/**
 * Where the gateway asks a subgraph, wherever it runs. `process` rejects when there is no answer, with a SubgraphFailure
 * where it knows why; createProtection makes a source that never does.
 */
export interface DataSource<Context = RequestContext> {
  readonly name: string;
  /** Its answers are of its schema by construction: the executor need not look. */
  readonly conforms?: true;
  process(request: SubgraphRequest<Context>): Promise<FormattedExecutionResult>;
  close(): Promise<void>;
}
