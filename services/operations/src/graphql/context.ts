import { createBuilder } from '@novacron/graphql';
import type { RequestContext } from '@novacron/contracts';
import type { CancelOperation } from '../cancellation.ts';
import type { Loaders } from '../loaders.ts';
import type { Database } from '../store.ts';

/** What the resolvers work with: made for every request. */
export interface OperationsContext extends RequestContext {
  db: Database;
  cancel: CancelOperation;
  loaders: Loaders;
}

export const builder = createBuilder<OperationsContext>();
