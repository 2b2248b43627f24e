import DataLoader from 'dataloader';
import type { Database, PoolRow, SnapshotRow, VolumeRow } from './database.ts';

/** Batches of one request: a page of any length costs one statement for each kind of row. Checks nothing. */
export interface Loaders {
  pool: DataLoader<string, PoolRow | null>;
  /** The ids of the hosts that a pool is on. */
  hostsOfPool: DataLoader<string, string[]>;
  volume: DataLoader<string, VolumeRow | null>;
  /** The volumes of a VM, in the order of their places in it. */
  volumesOf: DataLoader<string, VolumeRow[]>;
  snapshotsOf: DataLoader<string, SnapshotRow[]>;
}

function byKey<Row extends { id: string }>(load: (ids: string[]) => Promise<Row[]>): DataLoader<string, Row | null> {
  return new DataLoader(async (ids: readonly string[]) => {
    const rows = new Map((await load([...ids])).map((row) => [row.id, row]));
    return ids.map((id) => rows.get(id) ?? null);
  });
}

function grouped<Row>(load: (ids: string[]) => Promise<Row[]>, keyOf: (row: Row) => string | null): DataLoader<string, Row[]> {
  return new DataLoader(async (ids: readonly string[]) => {
    const rows = Map.groupBy(await load([...ids]), keyOf);
    return ids.map((id) => rows.get(id) ?? []);
  });
}

export function createLoaders(database: Database): Loaders {
  const poolHosts = grouped(
    (ids) => database.poolHost.findMany({ where: { poolId: { in: ids } }, orderBy: { hostId: 'asc' } }),
    ({ poolId }) => poolId,
  );
  return {
    pool: byKey((ids) => database.pool.findMany({ where: { id: { in: ids } } })),
    hostsOfPool: new DataLoader(async (ids: readonly string[]) => {
      const found = await poolHosts.loadMany([...ids]);
      return found.map((rows) => (rows instanceof Error ? rows : rows.map(({ hostId }) => hostId)));
    }),
    volume: byKey((ids) => database.volume.findMany({ where: { id: { in: ids } } })),
    volumesOf: grouped(
      (ids) => database.volume.findMany({ where: { vmId: { in: ids }, deletedAt: null }, orderBy: { target: 'asc' } }),
      ({ vmId }) => vmId,
    ),
    snapshotsOf: grouped(
      (ids) => database.volumeSnapshot.findMany({ where: { volumeId: { in: ids } }, orderBy: { id: 'asc' } }),
      ({ volumeId }) => volumeId,
    ),
  };
}
