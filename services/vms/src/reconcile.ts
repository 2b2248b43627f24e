import { setTimeout as delay } from 'node:timers/promises';
import { fromLibvirt, type HostAgent } from '@novacron/agent';
import { isId, type VmId } from '@novacron/core';
import { describeState, type Connection } from '@novacron/libvirt';
import { isPassing } from '@novacron/operations';
import type { Logger } from 'pino';
import type { Database } from './database.ts';
import type { HostDomains } from './host-context.ts';
import { readHost, type HostPolicy } from './host-report.ts';
import { readState, type Observation } from './observation.ts';
import { setHostOffline, setHostOnline } from './store/hosts.ts';
import { recordObservation } from './store/vm-changes.ts';

/** How often everything is read again, in case an event was lost. */
const RESYNC_MS = 30_000;
/** How long a host that is reached waits to be ONLINE until what every host has (its pool, the default network) is made there. */
const PREPARED_MS = 10_000;
/** Within this time a step that has acted has recorded what came of it, or never will: then it is looked at. */
const STEP_RECORDED_MS = 250;

export interface Reconciler {
  close(options?: { force?: boolean }): Promise<void>;
}

/**
 * Keeps what the database says of a host's VMs to what its libvirt says: at every connection and now and then all of
 * them, at every event the one it is about. Level-triggered: an event only says where to look.
 */
export function startReconciler(options: { database: Database; domains: HostDomains; agent: HostAgent; policy: HostPolicy; logger: Logger }): Reconciler {
  const { database, domains, agent, policy } = options;
  const hostId = agent.host.id;
  const logger = options.logger.child({ hostId, host: agent.host.name });
  /** VMs to look at, and whether there is more to see since the look began. */
  const looking = new Map<VmId, { again: boolean }>();
  const running = new Set<Promise<void>>();
  const closing = new AbortController();

  const track = (work: Promise<void>): void => {
    running.add(work);
    void work.finally(() => running.delete(work));
  };

  /** One look at a time for each VM; what happens during it is looked at afterwards. */
  const look = async (vmId: VmId): Promise<void> => {
    const known = looking.get(vmId);
    if (known) {
      known.again = true;
      return;
    }
    const entry = { again: true };
    looking.set(vmId, entry);
    try {
      while (entry.again && !closing.signal.aborted) {
        entry.again = false;
        await untilWritten(async () => recordObservation(database, hostId, vmId, await domains.observe(vmId)));
      }
    } catch (error) {
      // The connection went: everything is read again at the next one.
      if (!closing.signal.aborted) logger.warn({ err: fromLibvirt(error), vmId }, 'a VM could not be looked at');
    } finally {
      looking.delete(vmId);
    }
  };

  /** Again and again while the database is in trouble or the row in use: what was seen is not seen a second time by itself. */
  async function untilWritten<T>(write: () => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await write();
      } catch (error) {
        if (!isPassing(error) || !agent.connected || closing.signal.aborted) throw error;
        await delay(Math.min(2_000, 20 * 2 ** attempt), undefined, { signal: closing.signal }).catch(() => undefined);
      }
    }
  }

  const resync = async (connection: Connection): Promise<void> => {
    try {
      const report = await readHost(connection, agent.host, policy);
      const order = domains.nextOrder();
      const stats = await connection.domains.stats([], ['state']);
      // ONLINE means that it takes VMs; what can't be made there does not keep it from taking those that do without
      await Promise.race([agent.prepared, delay(PREPARED_MS, undefined, { signal: closing.signal })]);
      await untilWritten(() => setHostOnline(database, hostId, agent.epoch, report));
      const seen = new Map(
        stats.map(({ domain, params }) => [domain.uuid, readState(describeState(Number(params['state.state']), Number(params['state.reason'])))]),
      );
      const rows = await untilWritten(() => database.vm.findMany({ where: { hostId, deletedAt: null }, select: { id: true, observed: true } }));
      for (const { id, observed } of rows) {
        const found = seen.get(id) ?? ({ observed: 'MISSING', reason: null } as const);
        if (found.observed === observed) continue; // nearly all of them, nearly always
        await untilWritten(() => recordObservation(database, hostId, id as VmId, { ...found, ...order } satisfies Observation)); // brands are added where rows come in
      }
    } catch (error) {
      if (closing.signal.aborted || agent.connected !== connection) return; // the next connection reads again
      logger.warn({ err: error }, 'the host could not be read');
      const { code, message } = fromLibvirt(error);
      if (code !== 'INTERNAL') await offline(message); // a fault of our own is no reason to give the host up
    }
  };

  const offline = (problem: string): Promise<void> =>
    untilWritten(() => setHostOffline(database, hostId, agent.epoch, problem)).catch((error: unknown) => logger.warn({ err: error }, 'the host could not be marked offline'));

  /** One after the other: of a connection that was lost and made again, the newer word must be the last. */
  let reporting = Promise.resolve();
  const report = (work: () => Promise<void>): void => track((reporting = reporting.then(work)));

  const unwatch = agent.watch({
    onConnected: (connection) => report(() => resync(connection)),
    onLost: (reason) =>
      report(() => offline(`libvirt can't be reached: ${reason}`)),
    onLifecycle: (event) => {
      const { uuid } = event.domain;
      if (isId(uuid) && !domains.isActing(uuid)) track(look(uuid as VmId)); // a domain that is none of ours has no row
    },
  });
  domains.onActed = (vmId) => track(delay(STEP_RECORDED_MS, undefined, { signal: closing.signal }).then(() => look(vmId), () => undefined));
  const timer = setInterval(() => {
    const { connected } = agent;
    if (connected) report(() => resync(connected));
  }, RESYNC_MS);

  return {
    async close({ force = false } = {}) {
      closing.abort();
      clearInterval(timer);
      unwatch();
      await Promise.allSettled(running);
      if (!force) await offline('The agent of this host was stopped.');
    },
  };
}
