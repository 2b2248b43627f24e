import { DomainError, type HostId } from '@novacron/core';
import type { Database, PoolRow, Tx } from '../database.ts';
import { hostFacts } from './claims.ts';

/** The host through whose libvirt something is done in a pool, where no VM says which. UNAVAILABLE when none can be reached. */
export async function hostForPool(tx: Tx, pool: Pick<PoolRow, 'id' | 'name'>): Promise<HostId> {
  const having = new Set((await tx.poolHost.findMany({ where: { poolId: pool.id, state: 'READY' } })).map(({ hostId }) => hostId));
  const host = (await hostFacts(tx)).find(({ id, state }) => having.has(id) && state !== 'OFFLINE');
  if (!host) throw new DomainError('UNAVAILABLE', `No host that has storage pool "${pool.name}" can be reached.`);
  return host.id;
}

/** What a host's libvirt says of a pool. */
export interface PoolReport {
  path: string;
  capacity: number;
  /** Bytes in use on its file system, whoever uses them. */
  used: number;
  /** Of these, by what room is claimed for. */
  ours: number;
}

/**
 * libvirt's names of all that room is claimed for in a pool: volumes, also those that a migration brings, their snapshots, seeds
 * and images. What they take up is promised already, and not another's.
 */
export async function claimedFiles(sql: Database | Tx, poolId: string): Promise<Set<string>> {
  const rows = await sql.$queryRaw<{ name: string }[]>`
    SELECT libvirt_name AS name FROM volume WHERE deleted_at IS NULL AND ${poolId}::uuid IN (pool_id, target_pool_id)
    UNION ALL SELECT s.libvirt_name FROM volume_snapshot s JOIN volume v ON v.id = s.volume_id WHERE v.pool_id = ${poolId}::uuid
    UNION ALL SELECT libvirt_name FROM seed WHERE ${poolId}::uuid IN (pool_id, target_pool_id)
    UNION ALL SELECT libvirt_name FROM image_copy WHERE pool_id = ${poolId}::uuid`;
  return new Set(rows.map(({ name }) => name));
}

/** Writes what was seen of a pool: what others use of it, nobody can be promised. */
export async function recordPool(sql: Database | Tx, poolId: string, report: PoolReport, overcommit: number): Promise<void> {
  const foreign = Math.max(0, report.used - report.ours);
  await sql.pool.update({
    where: { id: poolId },
    data: {
      path: report.path,
      capacity: BigInt(report.capacity),
      foreign: BigInt(foreign),
      room: BigInt(Math.floor(Math.max(0, report.capacity - foreign) * overcommit)),
      seenAt: new Date(),
    },
  });
}
