import type { RequestContext } from '@novacron/contracts';
import { createBuilder } from '@novacron/graphql';
import type { Bell } from '@novacron/operations';
import type { Database } from '../database.ts';
import type { Loaders } from '../loaders.ts';

/** What resolvers reach, made for each request. */
export interface NetworkContext extends RequestContext {
  database: Database;
  loaders: Loaders;
  ring(bell: Bell | null): void;
}

export const builder = createBuilder<NetworkContext>();
builder.queryType({ description: 'What can be asked.' });
