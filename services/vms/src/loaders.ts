import type { OperationId, TenantId } from '@novacron/core';
import { rowLoader } from '@novacron/graphql';
import { readDoor, requireRoomInFlight } from '@novacron/operations';
import DataLoader from 'dataloader';
import type { Database, HostRow, VmRow } from './database.ts';

/** Batches of one request: a page of any length costs one statement for each kind of row. */
export interface Loaders {
  vm: DataLoader<string, VmRow | null>;
  host: DataLoader<string, HostRow | null>;
  /** Does the operation go forward? */
  goesOn: DataLoader<OperationId, boolean>;
  /** Rejects with QUOTA_EXCEEDED where the tenant has as many operations in flight as it may. */
  roomInFlight: DataLoader<TenantId, true>;
}

export const createLoaders = (database: Database): Loaders => ({
  vm: rowLoader((ids) => database.vm.findMany({ where: { id: { in: ids } } })),
  host: rowLoader((ids) => database.host.findMany({ where: { id: { in: ids } } })),
  goesOn: new DataLoader(async (ids) => {
    const rows = await readDoor<{ id: OperationId; goes_on: boolean }>(database, '(SELECT id, operations.goes_on(id) AS goes_on FROM unnest($1::uuid[]) id) found', ids);
    const known = new Map(rows.map((row) => [row.id, row.goes_on]));
    return ids.map((id) => known.get(id) ?? false);
  }),
  roomInFlight: new DataLoader((ids) =>
    Promise.all(ids.map((id) => requireRoomInFlight(database, id).then(() => true as const, (error: unknown) => (error instanceof Error ? error : new Error(String(error)))))),
  ),
});
