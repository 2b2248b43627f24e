import { setTimeout as delay } from 'node:timers/promises';
import type { HostAgent, HostAttachment } from '@novacron/agent';
import type { VmId } from '@novacron/core';
import type { Connection, LifecycleEvent } from '@novacron/libvirt';
import type { Logger } from 'pino';
import type { Database } from './database.ts';
import { readDomain, removeIncoming } from './guest.ts';
import { readTarget, type TargetSeen } from './outcome.ts';
import { arrivalsAt, reportTarget, type Arrival } from './target-view.ts';

/** How often arrivals are asked after: while there are some, and while there are none; and libvirt, while one is awaited any moment. */
const LOOK_MS = { some: 250, none: 1_000, expected: 40 } as const;
/** How long a VM is expected any moment, after its migration was found possible here. */
const EXPECTED_MS = 2_000;

/** What looks for VMs that arrive on a host. */
export interface Arrivals extends HostAttachment {
  /** This one is about to: until it is seen, libvirt is asked all the time, which tells of it itself only once it waits for memory. */
  expect(vmId: VmId): void;
}

/**
 * Beside each host: says what its libvirt shows of the VMs that migrate to it, at once when libvirt tells of one, and removes
 * what waits for a guest that does not come. Only this agent touches this host; the source's asks it through the row.
 */
export function watchArrivals(agent: HostAgent, database: Database, logger: Logger): Arrivals {
  const hostId = agent.host.id;
  const closing = new AbortController();
  const ended = AbortSignal.any([closing.signal, agent.signal]);
  /** One look at a VM after the other: the last word is the latest. */
  const looking = new Map<VmId, Promise<unknown>>();
  /** VMs whose events matter. */
  const arriving = new Set<VmId>();

  /** Undefined when it failed. */
  const inTurn = <T>(vmId: VmId, work: () => Promise<T>): Promise<T | undefined> => {
    const turn = (looking.get(vmId) ?? Promise.resolve()).then(work).catch((error: unknown) => {
      if (!ended.aborted) logger.warn({ err: error, hostId, vmId }, 'what arrives could not be looked at; trying again');
      return undefined;
    });
    looking.set(vmId, turn);
    void turn.finally(() => looking.get(vmId) === turn && looking.delete(vmId));
    return turn;
  };

  const see = async (connection: Connection, vmId: VmId): Promise<TargetSeen> => readTarget((await readDomain(connection, vmId))?.state ?? null);

  const look = async ({ vmId, seen, asked, answered, isUnwanted }: Arrival): Promise<void> => {
    const connection = agent.connected;
    if (!connection) return; // whoever asked waits
    let now = await see(connection, vmId);
    if (isUnwanted && now === 'INCOMING') {
      logger.info({ hostId, vmId }, 'removing what waits for a guest that does not come');
      await removeIncoming(connection, vmId);
      now = await see(connection, vmId);
    }
    if (now !== seen || asked > answered) await reportTarget(database, hostId, vmId, now, asked);
  };

  /** At once, without waiting for the next look: memory is sent only when this was seen. */
  const onLifecycle = ({ event, detail, domain }: LifecycleEvent): void => {
    const connection = agent.connected;
    const vmId = domain.uuid as VmId; // a domain that is no VM of ours matches no migration
    if (event === 'started' && detail === 'migrated') arriving.add(vmId);
    if (!connection || !arriving.has(vmId)) return;
    void inTurn(vmId, async () => reportTarget(database, hostId, vmId, await see(connection, vmId), null));
  };
  const unwatch = agent.watch({ onLifecycle });

  const run = async (): Promise<void> => {
    while (!ended.aborted) {
      const arrivals = await arrivalsAt(database, hostId).catch((error: unknown) => {
        logger.warn({ err: error, hostId }, 'migrations to the host could not be asked for; trying again');
        return [];
      });
      arriving.clear();
      for (const { vmId } of arrivals) arriving.add(vmId);
      await Promise.all(arrivals.map((arrival) => inTurn(arrival.vmId, () => look(arrival))));
      await delay(arrivals.length > 0 ? LOOK_MS.some : LOOK_MS.none, undefined, { signal: ended }).catch(() => undefined);
    }
  };
  const running = run();

  const reportIfThere = async (vmId: VmId): Promise<boolean> => {
    const connection = agent.connected;
    const seen = connection ? await see(connection, vmId) : 'MISSING';
    if (seen !== 'MISSING') await reportTarget(database, hostId, vmId, seen, null);
    return seen !== 'MISSING';
  };

  const expect = async (vmId: VmId): Promise<void> => {
    const until = performance.now() + EXPECTED_MS;
    while (!ended.aborted && performance.now() < until) {
      if (await inTurn(vmId, () => reportIfThere(vmId))) return;
      await delay(LOOK_MS.expected, undefined, { signal: ended }).catch(() => undefined); // that it ends is asked next
    }
  };

  return {
    expect: (vmId) => void expect(vmId),
    async close() {
      unwatch();
      closing.abort();
      await running;
      await Promise.all(looking.values());
    },
  };
}
