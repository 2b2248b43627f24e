import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { DomainError, type HostId } from '@novacron/core';
import { postgresPool } from '@novacron/database';
import { connect, openLink, type Connection, type Link } from '@novacron/libvirt';
import type { Logger } from 'pino';
import type { AttachHost, HostAgent, HostRecord, HostWatcher } from './host-agent.ts';
import { keepLease, type HostLease } from './host-lease.ts';

/** How often the list of hosts is read again. */
const LOOK_MS = 1_000;
const CONNECTION_DEADLINE_MS = 5_000;
const RENEWAL_DEADLINE_MS = 3_000;
/** libvirt's daemons answer at most this many calls of one connection at once, unless they are told otherwise. */
const CALLS_IN_FLIGHT = 4;
/** How long until a host that is another than was registered is asked again which it is; and one that could not be asked. */
const ADMIT_AGAIN_MS = { refused: 10_000, unknown: 500 } as const;

export interface AgentOptions {
  databaseUrl: string;
  /** The hosts that this process may be the agent of. */
  listHosts(): Promise<readonly HostRecord[]>;
  /** Every host of the fleet, where that is more. */
  listPeers?(): Promise<readonly HostRecord[]>;
  /**
   * Is it the host that was registered, and no other registration's? Asked of each connection before anything is done by it.
   * Answers why nothing may be done there; null: it is.
   */
  admit(host: HostRecord, epoch: number, connection: Connection): Promise<string | null>;
  /** What each service runs beside a host. */
  attach: readonly AttachHost[];
  logger: Logger;
}

export interface AgentProcess {
  /** Looks for new hosts now instead of within a second. */
  look(): void;
  /** Ends what runs beside the hosts and gives their leases back; guests keep running. `force`: as if killed. */
  close(options?: { force?: boolean }): Promise<void>;
}

/** Becomes the agent of every host that has no other, and stays it while it holds the lease. */
export function startAgent(options: AgentOptions): AgentProcess {
  const { logger } = options;
  // a renewal that takes longer than it may is worth nothing
  const pool = postgresPool(options.databaseUrl, 'agent', 4, RENEWAL_DEADLINE_MS);
  const holder = randomUUID();
  const closing = new AbortController();
  const attended = new Map<HostId, Promise<void>>();
  /** Those whose lease we hold now. */
  const served = new Set<HostId>();
  let wake: () => void = () => {};
  let force = false;

  const attend = async (host: HostRecord): Promise<void> => {
    try {
      await keepLease({ pool, hostId: host.id, holder, logger, signal: closing.signal, givesBack: () => !force }, async (lease) => {
        logger.info({ hostId: host.id, host: host.name, epoch: lease.epoch }, 'agent of the host');
        served.add(host.id);
        try {
          await serve(host, lease, options, () => force, peerUri);
        } finally {
          served.delete(host.id);
        }
      });
    } catch (error) {
      logger.error({ err: error, hostId: host.id, host: host.name }, 'the host can not be served');
    } finally {
      attended.delete(host.id); // asked for again at the next look
    }
  };

  const peerUri = async (hostId: HostId): Promise<string> => {
    const peer = (await options.listHosts()).find(({ id }) => id === hostId) ?? (await options.listPeers?.())?.find(({ id }) => id === hostId);
    if (!peer) throw new DomainError('NOT_FOUND', 'There is no host with this id.');
    const uri = served.has(hostId) ? peer.uri : peer.migrationUri;
    if (uri === null) throw new DomainError('UNAVAILABLE', `Host "${peer.name}" can't be reached from other hosts: it has no migrationUri.`, { retryable: false });
    return uri;
  };

  const run = async (): Promise<void> => {
    while (!closing.signal.aborted) {
      const woken = new Promise<void>((resolve) => {
        wake = resolve;
      });
      try {
        for (const host of await options.listHosts()) {
          if (!attended.has(host.id)) attended.set(host.id, attend(host));
        }
      } catch (error) {
        logger.warn({ err: error }, 'the hosts could not be listed; trying again');
      }
      const look = new AbortController();
      await Promise.race([woken, delay(LOOK_MS, undefined, { signal: look.signal }).catch(() => undefined)]);
      look.abort();
    }
  };
  const running = run();

  return {
    look: () => wake(),
    async close(how = {}) {
      force = how.force ?? false;
      closing.abort();
      wake();
      await running;
      await Promise.all(attended.values());
      await pool.end();
    },
  };
}

/** Runs the services beside a host until the lease ends. */
async function serve(
  host: HostRecord,
  lease: HostLease,
  { attach, admit, logger }: AgentOptions,
  forced: () => boolean,
  peerUri: (hostId: HostId) => Promise<string>,
): Promise<void> {
  const watchers = new Set<HostWatcher>();
  let connected: Connection | null = null;
  /** One outage is one piece of news, however often we try. */
  let isLostTold = false;
  const tell = (work: (watcher: HostWatcher) => void): void => watchers.forEach(work);
  /** Of a host that was not let in nobody hears; of one that is, everything is read when it is. */
  const tellOf = (work: (watcher: HostWatcher) => void): void => (connected ? tell(work) : undefined);

  const ended = AbortSignal.any([lease.lost, lease.stopping]);
  const admissions = new WeakMap<Connection, Promise<void>>();
  const admission = (connection: Connection): Promise<void> => {
    const known = admissions.get(connection) ?? letIn(connection);
    admissions.set(connection, known);
    return known;
  };
  /** Resolves when the host at the other end is known to be ours; rejects when the connection has ended before. */
  async function letIn(connection: Connection): Promise<void> {
    const gone = new AbortController();
    void connection.closed.then(() => gone.abort());
    let told: string | null = null;
    while (!gone.signal.aborted) {
      const refusal = await admit(host, lease.epoch, connection).catch((error: unknown) => {
        logger.debug({ err: error, hostId: host.id }, 'which host this is could not be asked; trying again');
        return undefined;
      });
      if (refusal === null) return;
      if (refusal !== undefined && refusal !== told) logger.warn({ hostId: host.id, host: host.name, reason: refusal }, 'nothing is done on this host');
      told = refusal ?? told;
      await delay(refusal === undefined ? ADMIT_AGAIN_MS.unknown : ADMIT_AGAIN_MS.refused, undefined, { signal: gone.signal }).catch(() => undefined);
    }
    throw new Error('The connection has ended.');
  }

  const link: Link = openLink({
    uri: host.uri,
    maxInFlight: CALLS_IN_FLIGHT,
    backoff: { initialMs: 100, maxMs: 2_000 },
    listeners: {
      lifecycle: (event) => tellOf((watcher) => watcher.onLifecycle?.(event)),
      reboot: (event) => tellOf((watcher) => watcher.onReboot?.(event)),
      'migration-iteration': (event) => tellOf((watcher) => watcher.onMigrationIteration?.(event)),
      'job-completed': (event) => tellOf((watcher) => watcher.onJobCompleted?.(event)),
      network: (event) => tellOf((watcher) => watcher.onNetwork?.(event)),
      pool: (event) => tellOf((watcher) => watcher.onPool?.(event)),
    },
    onStatus: (status) => {
      if (status.state === 'connected') {
        const { connection } = status;
        admission(connection).then(
          () => {
            if (link.status.state !== 'connected' || link.status.connection !== connection) return;
            connected = connection;
            isLostTold = false;
            logger.info({ hostId: host.id, host: host.name }, 'connected to libvirt');
            tell((watcher) => watcher.onConnected?.(connection));
          },
          () => undefined, // the next connection is asked
        );
      } else if (status.state === 'lost') {
        connected = null;
        isLostTold = true;
        logger.warn({ hostId: host.id, host: host.name, reason: status.reason.message }, 'the connection to libvirt was lost');
        tell((watcher) => watcher.onLost?.(status.reason.message));
      } else if (status.state === 'retrying' && !isLostTold) {
        isLostTold = true;
        const reason = status.error instanceof Error ? status.error.message : String(status.error);
        logger.warn({ hostId: host.id, host: host.name, reason }, 'libvirt can not be reached; trying again');
        tell((watcher) => watcher.onLost?.(reason));
      }
    },
  });
  /** Connections beside the link: they end with the lease. */
  const others = new Set<Connection>();
  let isOver = false;
  const openOther = async (uri: string, name: string, deadlineMs: number): Promise<Connection> => {
    try {
      if (lease.lost.aborted) throw new Error('The lease of the host was lost.');
      const connection = await connect({ uri, maxInFlight: CALLS_IN_FLIGHT, signal: AbortSignal.any([lease.lost, AbortSignal.timeout(deadlineMs)]) });
      others.add(connection);
      if (lease.lost.aborted || isOver) await connection.close(); // at the very moment when it was there
      void connection.closed.then(() => others.delete(connection));
      return connection;
    } catch (error) {
      throw new DomainError('UNAVAILABLE', `The hypervisor of ${name} can't be reached.`, { cause: error });
    }
  };
  const prepared = Promise.withResolvers<void>();
  const agent: HostAgent = {
    prepared: prepared.promise,
    host,
    epoch: lease.epoch,
    signal: ended,
    get connected() {
      return connected;
    },
    async connection(deadlineMs = CONNECTION_DEADLINE_MS) {
      try {
        if (lease.lost.aborted) throw new Error('The lease of the host was lost.');
        const until = performance.now() + deadlineMs;
        const connection = await link.connection({ deadlineMs });
        if (connection !== connected) await inTime(admission(connection), until - performance.now());
        return connection;
      } catch (error) {
        throw new DomainError('UNAVAILABLE', `The hypervisor of host "${host.name}" can't be reached.`, { cause: error });
      }
    },
    async openConnection(deadlineMs = CONNECTION_DEADLINE_MS) {
      await agent.connection(deadlineMs); // where nothing may be done, nothing is done beside the link, either
      return openOther(host.uri, `host "${host.name}"`, deadlineMs);
    },
    openPeer: async (hostId, deadlineMs = CONNECTION_DEADLINE_MS) => openOther(await peerUri(hostId), 'the other host', deadlineMs),
    watch(watcher) {
      watchers.add(watcher);
      if (connected) watcher.onConnected?.(connected);
      return () => watchers.delete(watcher);
    },
  };
  const attachments = attach.map((begin) => begin(agent));
  void Promise.all(attachments.map((attachment) => attachment.prepared)).then(() => prepared.resolve());
  // What is another's by now must not be spoken to any more, whatever our services still wait for.
  lease.lost.addEventListener('abort', () => void Promise.all([link.close(), ...[...others].map((other) => other.close())]), { once: true });
  if (!ended.aborted) await once(ended, 'abort');
  const force = (): boolean => forced() || lease.lost.aborted;
  await Promise.allSettled(attachments.map((attachment) => attachment.close({ force: force() })));
  isOver = true;
  await Promise.all([link.close(), ...[...others].map((other) => other.close())]);
}

/** Waits for something no longer than that. */
async function inTime(work: Promise<void>, ms: number): Promise<void> {
  const done = new AbortController();
  const late = delay(Math.max(0, ms), undefined, { signal: done.signal }).then(() => {
    throw new Error('It is not known to be the host that was registered.');
  });
  try {
    await Promise.race([work, late]);
  } finally {
    done.abort();
  }
}
