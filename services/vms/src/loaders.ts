import DataLoader from 'dataloader';
import type { Database, HostRow, VmRow } from './database.ts';

/** Batches of one request: a page of any length costs one statement for each kind of row. */
export interface Loaders {
  vm: DataLoader<string, VmRow | null>;
  host: DataLoader<string, HostRow | null>;
}

function byKey<Row extends { id: string }>(load: (ids: string[]) => Promise<Row[]>): DataLoader<string, Row | null> {
  return new DataLoader(async (ids: readonly string[]) => {
    const rows = new Map((await load([...ids])).map((row) => [row.id, row]));
    return ids.map((id) => rows.get(id) ?? null);
  });
}

export const createLoaders = (database: Database): Loaders => ({
  vm: byKey((ids) => database.vm.findMany({ where: { id: { in: ids } } })),
  host: byKey((ids) => database.host.findMany({ where: { id: { in: ids } } })),
});
