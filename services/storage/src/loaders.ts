import { rowLoader, rowsLoader } from '@novacron/graphql';
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

export function createLoaders(database: Database): Loaders {
  const poolHosts = rowsLoader(
    (ids) => database.poolHost.findMany({ where: { poolId: { in: ids } }, orderBy: { hostId: 'asc' } }),
    ({ poolId }) => poolId,
  );
  return {
    pool: rowLoader((ids) => database.pool.findMany({ where: { id: { in: ids } } })),
    hostsOfPool: new DataLoader(async (ids: readonly string[]) => {
      const found = await poolHosts.loadMany([...ids]);
      return found.map((rows) => (rows instanceof Error ? rows : rows.map(({ hostId }) => hostId)));
    }),
    volume: rowLoader((ids) => database.volume.findMany({ where: { id: { in: ids } } })),
    volumesOf: rowsLoader(
      (ids) => database.volume.findMany({ where: { vmId: { in: ids }, deletedAt: null }, orderBy: { target: 'asc' } }),
      ({ vmId }) => vmId,
    ),
    snapshotsOf: rowsLoader(
      (ids) => database.volumeSnapshot.findMany({ where: { volumeId: { in: ids } }, orderBy: { id: 'asc' } }),
      ({ volumeId }) => volumeId,
    ),
  };
}
