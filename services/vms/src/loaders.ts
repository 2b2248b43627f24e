import { rowLoader } from '@novacron/graphql';
import type DataLoader from 'dataloader';
import type { Database, HostRow, VmRow } from './database.ts';

/** Batches of one request: a page of any length costs one statement for each kind of row. */
export interface Loaders {
  vm: DataLoader<string, VmRow | null>;
  host: DataLoader<string, HostRow | null>;
}

export const createLoaders = (database: Database): Loaders => ({
  vm: rowLoader((ids) => database.vm.findMany({ where: { id: { in: ids } } })),
  host: rowLoader((ids) => database.host.findMany({ where: { id: { in: ids } } })),
});
