import type { HostAgent } from '@novacron/agent';
import type { VmId } from '@novacron/core';
import { LibvirtError, type Connection, type DomainRef, type ErrorCodeName } from '@novacron/libvirt';
import { readState, type Observation } from './observation.ts';

/** What is known about a domain on the host that steps and the reconciler work beside. */
export interface HostDomains {
  readonly agent: HostAgent;
  /** Directories that kernels may be read from. */
  readonly bootDirectories: readonly string[];
  /** The domain of a VM; null when the host has none. */
  find(vmId: VmId): Promise<{ connection: Connection; domain: DomainRef } | null>;
  /** The place of what is asked from now on in the order of observations. */
  nextOrder(): { epoch: number; seq: number };
  /** Asks libvirt how a VM is, now. UNAVAILABLE when it can't be asked. */
  observe(vmId: VmId): Promise<Observation>;
  /**
   * Does a step's work on a VM, then asks libvirt what came of it, again if something happened since it was asked. What
   * happens until then is the step's to record: the reconciler, beside it, would only stand in its way.
   */
  act(vmId: VmId, work: () => Promise<void>): Promise<Observation>;
  isActing(vmId: string): boolean;
  /** Told of a VM to which something may have happened that nobody has recorded: while a step acted, or before it was this host's. */
  onActed: (vmId: VmId) => void;
  /** Resolves at the VM's next event of that kind, or after `timeoutMs`; true when there was one. */
  waitForEvent(vmId: VmId, kind: 'stopped' | 'reboot', timeoutMs: number, signal: AbortSignal): Promise<boolean>;
  close(): void;
}

export function createHostDomains(agent: HostAgent, bootDirectories: readonly string[]): HostDomains {
  let seq = 0;
  const listeners = new Set<(vmId: string, kind: 'stopped' | 'reboot') => void>();
  const tell = (vmId: string, kind: 'stopped' | 'reboot'): void => listeners.forEach((listener) => listener(vmId, kind));
  /** VMs in the hands of a step, and how much has happened to them since. */
  const acting = new Map<string, { events: number }>();
  const unwatch = agent.watch({
    onLifecycle: (event) => {
      const act = acting.get(event.domain.uuid);
      if (act) act.events += 1;
      if (event.event === 'stopped') tell(event.domain.uuid, 'stopped');
    },
    onReboot: (event) => tell(event.domain.uuid, 'reboot'),
  });

  const find: HostDomains['find'] = async (vmId) => {
    const connection = await agent.connection();
    const domain = await lookUp(connection, vmId);
    return domain && { connection, domain };
  };

  // Numbered when asked, not when answered: what was asked later can't be older.
  const nextOrder = () => ({ epoch: agent.epoch, seq: (seq += 1) });

  const observe: HostDomains['observe'] = async (vmId) => {
    const order = nextOrder();
    const found = await find(vmId);
    if (!found) return { observed: 'MISSING', reason: null, ...order };
    try {
      return { ...readState(await found.connection.domains.state(found.domain)), ...order };
    } catch (error) {
      if (isGone(error)) return { observed: 'MISSING', reason: null, ...order };
      throw error;
    }
  };

  const domains: HostDomains = {
    agent,
    bootDirectories,
    find,
    nextOrder,
    observe,
    async act(vmId, work) {
      const act = { events: 0 };
      acting.set(vmId, act);
      try {
        await work();
        for (;;) {
          const { events } = act;
          const seen = await observe(vmId);
          if (act.events === events) return seen;
        }
      } finally {
        acting.delete(vmId);
        if (act.events > 0) domains.onActed(vmId);
      }
    },
    isActing: (vmId) => acting.has(vmId),
    onActed: () => {},
    waitForEvent: (vmId, kind, timeoutMs, signal) =>
      new Promise((resolve, reject) => {
        const done = (): void => {
          clearTimeout(timer);
          listeners.delete(listener);
          signal.removeEventListener('abort', abort);
        };
        const listener = (about: string, what: string): void => {
          if (about !== vmId || what !== kind) return;
          done();
          resolve(true);
        };
        const abort = (): void => {
          done();
          reject(signal.reason as Error); // what aborted it is always an Error: see the worker
        };
        const timer = setTimeout(() => {
          done();
          resolve(false);
        }, timeoutMs);
        if (signal.aborted) return abort();
        signal.addEventListener('abort', abort, { once: true });
        listeners.add(listener);
      }),
    close: unwatch,
  };
  return domains;
}

export const isGone = (error: unknown): boolean => error instanceof LibvirtError && error.is('NO_DOMAIN');

/** For an answer of libvirt's that is no trouble: nothing then, any other error as it came. */
export const unless =
  (code: ErrorCodeName) =>
  (error: unknown): void => {
    if (!(error instanceof LibvirtError && error.is(code))) throw error;
  };

/** For what is to be taken away: someone else may have been faster. */
export const unlessGone = unless('NO_DOMAIN');

export async function lookUp(connection: Connection, vmId: VmId): Promise<DomainRef | null> {
  try {
    return await connection.domains.lookupByUuid(vmId);
  } catch (error) {
    if (isGone(error)) return null;
    throw error;
  }
}
