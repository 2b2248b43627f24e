import type { Subgraph } from '@novacron/contracts';
import type { Logger } from 'pino';
import type { DataSource } from './data-source.ts';
import { createSubgraphExecutor } from './subgraph-executor.ts';

/** A subgraph in this process: no HTTP, no JSON, no token. */
export function createInProcessDataSource(subgraph: Subgraph, logger: Logger): DataSource {
  return { name: subgraph.name, conforms: true, process: createSubgraphExecutor(subgraph, logger), close: async () => {} };
}
