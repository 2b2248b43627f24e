import type { RequestContext } from '@novacron/contracts';
import type { Bell } from '@novacron/operations';
import { createBuilder } from '@novacron/graphql';
import type { CreateOptions } from '../create-vm.ts';
import type { Database } from '../database.ts';
import type { Loaders } from '../loaders.ts';

/** What resolvers reach, made for each request. */
export interface VmsContext extends RequestContext {
  database: Database;
  bootDirectories: readonly string[];
  readonly sealSeed: CreateOptions['sealSeed'];
  loaders: Loaders;
  ring(bell: Bell | null): void;
  /** There is a new host: its agent may begin. */
  onHostRegistered(): void;
}

export const builder = createBuilder<VmsContext>();
builder.queryType({ description: 'What can be asked.' });
builder.mutationType({ description: 'What can be changed.' });
