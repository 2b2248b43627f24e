import { DomainError } from '@novacron/core';
import type { Connection } from '@novacron/libvirt';
import type { PoolRow } from '../database.ts';
import { libvirtPoolName, markerName } from '../rules.ts';
import type { PoolReport } from '../store/pools.ts';
import { isCode, nullIf, type PoolRef } from './host-storage.ts';
import { poolXml, readPoolPath } from './volume-xml.ts';

/**
 * Has libvirt define the pool, make its directory, and start it, now and with every libvirtd. Idempotent. INVALID_STATE when there is
 * one of its name that lives elsewhere.
 */
export async function ensurePool(connection: Connection, pool: Pick<PoolRow, 'id' | 'name' | 'path'>): Promise<PoolRef> {
  const name = libvirtPoolName(pool.name);
  const known = await connection.pools.lookupByName(name).catch(nullIf('NO_STORAGE_POOL'));
  if (known && known.uuid !== pool.id) {
    const path = readPoolPath(await connection.pools.xml(known));
    if (path !== pool.path) throw new DomainError('INVALID_STATE', `The host has a libvirt pool "${name}" already, in another directory.`, { field: 'name' });
  }
  const ref = known ?? (await connection.pools.define(poolXml(name, pool.id, pool.path)));
  if (!(await connection.pools.isActive(ref))) {
    if (!known) await connection.pools.build(ref);
    await connection.pools.start(ref).catch(async (error: unknown) => {
      if (isCode(error, 'OPERATION_INVALID')) return; // someone else has started it
      if (!known) throw error;
      await connection.pools.build(ref); // its directory is gone
      await connection.pools.start(ref);
    });
  }
  await connection.pools.setAutostart(ref, true);
  return ref;
}

/** Libvirt forgets the pool; what lies in its directory stays. Idempotent. */
export async function removePool(connection: Connection, pool: Pick<PoolRow, 'id'>): Promise<void> {
  const ref = await connection.pools.lookupByUuid(pool.id).catch(nullIf('NO_STORAGE_POOL'));
  if (!ref) return;
  await connection.pools.destroy(ref).catch(nullIf('OPERATION_INVALID', 'NO_STORAGE_POOL'));
  await connection.pools.undefine(ref).catch(nullIf('NO_STORAGE_POOL'));
}

/** What a volume takes up on its host, by libvirt's name of it. */
export type Allocations = ReadonlyMap<string, number>;

/** Reads what a pool holds; `ours`: the names of volumes that are, with what they take up. */
export async function readPool(connection: Connection, ref: PoolRef, ours: ReadonlySet<string>): Promise<PoolReport & { volumes: Allocations }> {
  const [info, xml, found] = await Promise.all([connection.pools.info(ref), connection.pools.xml(ref), connection.volumes.list(ref)]);
  const volumes = new Map<string, number>();
  for (const volume of found) {
    if (!ours.has(volume.name)) continue;
    const seen = await connection.volumes.info(volume).catch(nullIf('NO_STORAGE_VOL'));
    if (seen) volumes.set(volume.name, seen.allocation);
  }
  const path = readPoolPath(xml);
  if (path === null) throw new DomainError('UNAVAILABLE', 'libvirt does not say where its pool is.');
  return { path, capacity: info.capacity, used: info.allocation, ours: [...volumes.values()].reduce((sum, bytes) => sum + bytes, 0), volumes };
}

/** A shared pool without the file that its first host has written is another directory: a file system that is not mounted, say. */
export async function requireMarker(connection: Connection, ref: PoolRef, pool: Pick<PoolRow, 'id'>): Promise<void> {
  if (await connection.volumes.lookupByName(ref, markerName(pool.id)).catch(nullIf('NO_STORAGE_VOL'))) return;
  throw new DomainError('INVALID_STATE', 'This host does not see the file that marks the shared pool: its directory is not the one that the other hosts have.');
}
