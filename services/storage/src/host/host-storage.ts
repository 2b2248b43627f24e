import { setTimeout as delay } from 'node:timers/promises';
import type { HostAgent } from '@novacron/agent';
import { DomainError } from '@novacron/core';
import { LibvirtError, type Connection, type ErrorCodeName } from '@novacron/libvirt';
import type { PoolRow, VolumeRow } from '../database.ts';
import { libvirtPoolName } from '../rules.ts';
import { requirePlainRaw } from './plain-raw.ts';
import { readOwner, volumeXml, type Owner, type VolumeSpec } from './volume-xml.ts';

type PoolRef = Awaited<ReturnType<Connection['pools']['lookupByName']>>;
type VolumeRef = Awaited<ReturnType<Connection['volumes']['lookupByName']>>;
export type { PoolRef, VolumeRef };

/** How long a copy of a volume may take. */
export const COPY_DEADLINE_MS = 24 * 60 * 60_000;
/** qemu-img's LUKS creation fails at random where the kernel counts CPU time in ticks ("Unable to get accurate CPU usage"): once in three times was seen. */
const LUKS_TRIES = 16;
const LUKS_DEADLINE_MS = 5 * 60_000;
/** Reading a large pool again takes its time. */
const REFRESH_DEADLINE_MS = 5 * 60_000;
/** How long a pool is waited for that can't be read again because volumes are being made in it. */
const BUSY_MS = 30_000;
const LOOK_MS = 200;

/** Where a volume is, as far as its host is concerned. */
export interface Place {
  pool: Pick<PoolRow, 'name' | 'path' | 'shared'>;
  libvirtName: string;
}

/** What is copied: what its row says that it is, whatever a guest has written into it. */
export interface Source extends Place {
  format: string;
  encrypted: boolean;
}

export const placeOf = (volume: VolumeRow & { pool: PoolRow }): Place => ({ pool: volume.pool, libvirtName: volume.libvirtName });
export const sourceOf = ({ format, encrypted }: Pick<VolumeRow, 'format' | 'encrypted'>, place: Place): Source => ({ ...place, format, encrypted });
/** How its host finds the file: what libvirt knows a secret's use by. */
export const pathOf = ({ pool, libvirtName }: Place): string => `${pool.path}/${libvirtName}`;

/** What a step does to volumes of the host that it runs beside. Everything goes through the host's libvirt. */
export interface HostStorage {
  readonly agent: HostAgent;
  pool(connection: Connection, name: string): Promise<PoolRef>;
  /** Null when it is not there, also after the pool was read again. */
  find(connection: Connection, place: Place): Promise<VolumeRef | null>;
  /** Makes a volume anew: what an attempt that was cut off has left of it goes first. `from`: with that volume's content. */
  make(place: Place, spec: Omit<VolumeSpec, 'name'>, options?: { from?: Source; signal?: AbortSignal }): Promise<void>;
  remove(place: Place): Promise<void>;
  /** Grows a volume that no guest has, or that its guest's QEMU has grown. */
  grow(source: Source, bytes: number): Promise<void>;
  /** Bytes that a guest sees, and that it takes up. */
  measure(place: Place): Promise<{ capacity: number; allocation: number } | null>;
}

export const isCode = (error: unknown, code: ErrorCodeName): boolean => error instanceof LibvirtError && error.is(code);

/** For an answer of libvirt's that is no trouble: null then, any other error as it came. */
export const nullIf =
  (...codes: ErrorCodeName[]) =>
  (error: unknown): null => {
    if (codes.some((code) => isCode(error, code))) return null;
    throw error;
  };

/**
 * Lets libvirt look for what came and went without it, and at how much room there is. @returns false while it makes a volume in the
 * pool ("pool has asynchronous jobs running"): then it does not look
 */
export async function refreshPool(connection: Connection, ref: PoolRef): Promise<boolean> {
  try {
    await connection.pools.refresh(ref, { deadlineMs: REFRESH_DEADLINE_MS });
    return true;
  } catch (error) {
    if (isCode(error, 'INTERNAL_ERROR') || isCode(error, 'OPERATION_INVALID')) return false;
    throw error;
  }
}

/** Its guest decides what the file begins with: there is nothing of ours before it. */
const isGuests = ({ format, encrypted }: Source): boolean => format === 'raw' && !encrypted;

export function createHostStorage(agent: HostAgent): HostStorage {
  /** Read once for each connection: it does not change while a libvirtd runs. */
  const owners = new WeakMap<Connection, Promise<Owner | null>>();
  const ownerOn = (connection: Connection): Promise<Owner | null> => {
    const known = owners.get(connection) ?? connection.capabilities().then(readOwner);
    owners.set(connection, known);
    known.catch(() => owners.delete(connection));
    return known;
  };

  const pool: HostStorage['pool'] = async (connection, name) => {
    const found = await connection.pools.lookupByName(libvirtPoolName(name)).catch(nullIf('NO_STORAGE_POOL'));
    if (!found) throw new DomainError('UNAVAILABLE', `Host "${agent.host.name}" does not have storage pool "${name}" at the moment.`);
    return found;
  };

  const lookUp = async (connection: Connection, place: Place, waitMs: number): Promise<VolumeRef | null> => {
    const ref = await pool(connection, place.pool.name);
    const look = (): Promise<VolumeRef | null> => connection.volumes.lookupByName(ref, place.libvirtName).catch(nullIf('NO_STORAGE_VOL'));
    const found = await look();
    if (found || !place.pool.shared) return found;
    // another host may have made it
    for (const startedAt = performance.now(); !(await refreshPool(connection, ref)); await delay(LOOK_MS)) {
      if (waitMs === 0) break;
      if (performance.now() - startedAt > waitMs) throw new DomainError('UNAVAILABLE', `Volumes are being made in storage pool "${place.pool.name}" on host "${agent.host.name}": it can't be read.`);
    }
    return look();
  };
  const find: HostStorage['find'] = (connection, place) => lookUp(connection, place, BUSY_MS);

  /** Long calls have a connection of their own; when the step is given up, nobody waits for their end. */
  const withOwn = async <T>(signal: AbortSignal | undefined, work: (connection: Connection) => Promise<T>): Promise<T> => {
    const connection = await agent.openConnection();
    const close = (): void => void connection.close();
    signal?.addEventListener('abort', close, { once: true });
    try {
      signal?.throwIfAborted();
      return await work(connection);
    } finally {
      signal?.removeEventListener('abort', close);
      await connection.close();
    }
  };

  const remove: HostStorage['remove'] = async (place) => {
    const connection = await agent.connection();
    const found = await find(connection, place);
    if (found) await connection.volumes.delete(found).catch(nullIf('NO_STORAGE_VOL'));
  };

  /** Before a volume is made: what an earlier attempt has left, which libvirt may still work at though nobody waits for it. What it can't tell is not there. */
  const clear = async (place: Place, signal: AbortSignal | undefined): Promise<void> => {
    for (;;) {
      const connection = await agent.connection();
      const found = await lookUp(connection, place, 0);
      try {
        if (found) await connection.volumes.delete(found);
        return;
      } catch (error) {
        if (isCode(error, 'NO_STORAGE_VOL')) return;
        // libvirt 9.0.0, src/storage/storage_driver.c
        if (!(isCode(error, 'OPERATION_INVALID') && /still (being allocated|in use)/.test(String(error)))) throw error;
      }
      await delay(LOOK_MS, undefined, { signal });
      signal?.throwIfAborted();
    }
  };

  const create = async (connection: Connection, place: Place, spec: VolumeSpec, from: Source | undefined): Promise<void> => {
    const ref = await pool(connection, place.pool.name);
    const xml = volumeXml(spec, await ownerOn(connection));
    if (from === undefined) {
      await connection.volumes.create(ref, xml, 0, { deadlineMs: LUKS_DEADLINE_MS });
      return;
    }
    const source = await find(connection, from);
    if (!source) throw new DomainError('NOT_FOUND', 'What was to be copied is gone from its storage pool.');
    if (isGuests(from)) await requirePlainRaw(connection, source);
    await connection.volumes.createFrom(ref, xml, source, 0, { deadlineMs: COPY_DEADLINE_MS });
  };

  return {
    agent,
    pool,
    find,
    remove,
    async make(place, given, { from, signal } = {}) {
      const spec = { ...given, name: place.libvirtName };
      await clear(place, signal);
      if (spec.secretId === null && from === undefined) return create(await agent.connection(), place, spec, from);
      await withOwn(signal, async (connection) => {
        for (let attempt = 1; ; attempt += 1) {
          try {
            return await create(connection, place, spec, from);
          } catch (error) {
            const again = spec.secretId !== null && attempt < LUKS_TRIES && isCode(error, 'INTERNAL_ERROR');
            if (!again) throw error;
            signal?.throwIfAborted();
            await clear(place, signal);
          }
        }
      });
    },
    async grow(source, bytes) {
      await withOwn(undefined, async (connection) => {
        const found = await find(connection, source);
        if (!found) return;
        if (isGuests(source)) await requirePlainRaw(connection, found);
        await connection.volumes.resize(found, bytes);
      });
    },
    async measure(place) {
      const connection = await agent.connection();
      const found = await find(connection, place);
      return found && connection.volumes.info(found).catch(nullIf('NO_STORAGE_VOL'));
    },
  };
}
