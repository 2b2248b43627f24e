import { setTimeout as delay } from 'node:timers/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { fromLibvirt, type HostAgent } from '@novacron/agent';
import { newId } from '@novacron/core';
import { isDuplicate } from '@novacron/database';
import type { Connection } from '@novacron/libvirt';
import { isPassing } from '@novacron/operations';
import type { PoolRow } from './database.ts';
import { nullIf, refreshPool } from './host/host-storage.ts';
import { ensurePool, readPool, requireMarker } from './host/pools.ts';
import { settleSecrets } from './host/settle-secrets.ts';
import { readPoolPath } from './host/volume-xml.ts';
import { LOCAL_POOL, libvirtPoolName } from './rules.ts';
import { claimedFiles, recordPool } from './store/pools.ts';
import { recordVolumes } from './store/seen-volumes.ts';
import type { WorkerContext } from './worker-context.ts';

/** How often pools are read again: others use their file systems, too. */
const RESYNC_MS = 60_000;
/** When secrets are looked at again that an operation may still change. */
const SETTLE_MS = 2_000;

export interface Reconciler {
  /** Resolves when everything was looked at once. */
  readonly looked: Promise<void>;
  close(): Promise<void>;
}

/**
 * Keeps a host's pools started and what the database says of them to what its libvirt says; and gives libvirt what opens the
 * encrypted volumes of the VMs there, which it forgets whenever it ends. Level-triggered: all of it at every connection.
 */
export function startReconciler({ context, agent }: { context: WorkerContext; agent: HostAgent }): Reconciler {
  const { database } = context;
  const hostId = agent.host.id;
  const logger = context.logger.child({ hostId, host: agent.host.name });
  const closing = new AbortController();
  const looked = Promise.withResolvers<void>();

  const resync = async (connection: Connection): Promise<void> => {
    try {
      await settle(connection);
      await again(() => ensureLocalPool(context, agent, connection));
      const rows = await again(() => database.poolHost.findMany({ where: { hostId, state: { not: 'CREATING' } }, include: { pool: true } }));
      for (const { pool } of rows) await syncPool(connection, pool);
    } catch (error) {
      if (closing.signal.aborted || agent.connected !== connection) return; // the next connection reads again
      logger.warn({ err: fromLibvirt(error) }, 'the storage of the host could not be read');
    }
  };

  let unsettled: NodeJS.Timeout | undefined;
  const settle = async (connection: Connection): Promise<void> => {
    clearTimeout(unsettled);
    const isSettled = await again(() => settleSecrets(context, agent, connection, logger));
    if (!isSettled && !closing.signal.aborted) unsettled = setTimeout(settleAgain, SETTLE_MS);
  };
  const settleAgain = (): void => {
    running = running.then(async () => {
      if (agent.connected && !closing.signal.aborted) await settle(agent.connected);
    }).catch((error: unknown) => logger.debug({ err: error }, 'secrets could not be looked at; they will be with everything else'));
  };

  const syncPool = async (connection: Connection, pool: PoolRow): Promise<void> => {
    const seat = { poolId_hostId: { poolId: pool.id, hostId } };
    try {
      const ref = await ensurePool(connection, pool);
      if (!(await refreshPool(connection, ref))) return; // someone makes a volume in it: what it lists may be old
      if (pool.shared) await requireMarker(connection, ref, pool);
      const ours = await again(() => claimedFiles(database, pool.id));
      const report = await readPool(connection, ref, ours);
      await again(() => recordPool(database, pool.id, report, context.policy.overcommit));
      await again(() => database.poolHost.update({ where: seat, data: { state: 'READY', problem: null } }));
      await again(() => recordVolumes(database, pool.id, report.volumes));
    } catch (error) {
      if (closing.signal.aborted || agent.connected !== connection) throw error;
      const problem = fromLibvirt(error).message;
      logger.warn({ err: error, pool: pool.name }, 'a storage pool can not be used');
      await again(() => database.poolHost.updateMany({ where: { poolId: pool.id, hostId }, data: { state: 'UNAVAILABLE', problem } }));
    }
  };

  /** Again and again while the database is in trouble: a connection to libvirt is not made anew for that. */
  async function again<T>(work: () => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await work();
      } catch (error) {
        if (!isPassing(error) || !agent.connected || closing.signal.aborted) throw error;
        await delay(Math.min(2_000, 100 * 2 ** attempt), undefined, { signal: closing.signal }).catch(() => undefined);
      }
    }
  }

  /** One after the other: of a connection that was lost and made again, the newer word must be the last. */
  let running = Promise.resolve();
  const report = (connection: Connection): void => {
    running = running.then(() => (closing.signal.aborted ? undefined : resync(connection))).then(looked.resolve);
  };
  const unwatch = agent.watch({ onConnected: report });
  const timer = setInterval(() => {
    if (agent.connected) report(agent.connected);
  }, RESYNC_MS);

  return {
    looked: looked.promise,
    async close() {
      closing.abort();
      clearInterval(timer);
      clearTimeout(unsettled);
      unwatch();
      await running;
    },
  };
}

/** Where the host's own pool is to be. libvirt without root has its place below the home of the user who runs it. */
const localPath = (directory: string | null, uri: string): string => {
  if (directory !== null) return directory;
  if (!uri.endsWith('/session')) return '/var/lib/libvirt/novacron';
  return join(process.env['XDG_DATA_HOME'] ?? join(homedir(), '.local/share'), 'libvirt/novacron');
};

/** Every host has a pool of its own. One that an earlier NovaCron has left there is taken over where it is. */
async function ensureLocalPool({ database, policy }: WorkerContext, agent: HostAgent, connection: Connection): Promise<void> {
  const hostId = agent.host.id;
  if (await database.poolHost.findUnique({ where: { hostId_name: { hostId, name: LOCAL_POOL } } })) return;
  const known = await connection.pools.lookupByName(libvirtPoolName(LOCAL_POOL)).catch(nullIf('NO_STORAGE_POOL'));
  const path = (known && readPoolPath(await connection.pools.xml(known))) ?? localPath(policy.directory, await connection.uri());
  const pool = { id: newId<string>(), name: LOCAL_POOL, path };
  await ensurePool(connection, pool);
  await database.pool
    .create({ data: { ...pool, state: 'READY', hosts: { create: { hostId, name: LOCAL_POOL, state: 'READY' } } } })
    .catch((error: unknown) => {
      if (!isDuplicate(error)) throw error; // an agent before us was late
    });
}
