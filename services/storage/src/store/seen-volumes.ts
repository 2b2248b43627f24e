import { inTransaction } from '@novacron/database';
import type { Database } from '../database.ts';
import { changeVolume, findLockedVolume, GONE } from './volumes.ts';

/** Writes what a pool's volumes take up, and which are gone. A volume in the hands of an operation is left to that. */
export async function recordVolumes(database: Database, poolId: string, seen: ReadonlyMap<string, number>): Promise<void> {
  const rows = await database.volume.findMany({ where: { poolId, deletedAt: null, operationId: null, targetPoolId: null } });
  for (const row of rows) {
    const bytes = seen.get(row.libvirtName);
    const problem = bytes === undefined ? GONE : row.problem === GONE ? null : row.problem;
    const allocated = bytes === undefined ? null : BigInt(bytes);
    if (problem === row.problem && allocated === row.allocated) continue;
    await inTransaction(database, async (tx) => {
      const volume = await findLockedVolume(tx, row.id);
      // one that was made or grown meanwhile was not there yet when the pool was read
      if (volume && volume.operationId === null && volume.generation === row.generation) await changeVolume(tx, volume, { problem, allocated });
    });
  }
}
