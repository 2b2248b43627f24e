import type { RequestContext } from '@novacron/contracts';
import { createBuilder } from '@novacron/graphql';
import type { Bell } from '@novacron/operations';
import type { Secrets } from '@novacron/secrets';
import type { Database } from '../database.ts';
import type { Loaders } from '../loaders.ts';

/** What resolvers reach, made for each request. */
export interface StorageContext extends RequestContext {
  database: Database;
  secrets: Secrets;
  loaders: Loaders;
  ring(bell: Bell | null): void;
}

export const builder = createBuilder<StorageContext>();
builder.queryType({ description: 'What can be asked.' });
builder.mutationType({ description: 'What can be changed.' });
