import { fromLibvirt, type HostAgent } from '@novacron/agent';
import type { Logger } from 'pino';
import type { HostNetworks } from './host-networks.ts';

/** How often everything is looked at again, in case an event was lost. */
const RESYNC_MS = 30_000;
/** How long after an event: what is done in one go, someone's net-destroy and net-undefine say, is looked at once. */
const SETTLE_MS = 300;
const OURS = /^nc-[0-9a-f]{11}$/;

export interface Reconciler {
  /** Resolves when everything was looked at once. */
  readonly looked: Promise<void>;
  close(): Promise<void>;
}

/**
 * Keeps a host's networks to the rows: at every connection, when one of ours is stopped or removed by someone else, and now and
 * then. Level-triggered: an event only says that there is something to look at.
 */
export function startReconciler(networks: HostNetworks, logger: Logger): Reconciler {
  const agent: HostAgent = networks.agent;
  const log = logger.child({ hostId: agent.host.id, host: agent.host.name });
  let timer: NodeJS.Timeout | undefined;
  let looking: Promise<void> | null = null;
  let again = false;
  let closed = false;
  const looked = Promise.withResolvers<void>();

  const look = (): void => {
    if (closed) return;
    if (looking) {
      again = true;
      return;
    }
    looking = networks
      .settleAll()
      .catch((error: unknown) => {
        if (!closed && agent.connected) log.warn({ err: fromLibvirt(error) }, "the host's networks could not be brought to what they should be; trying again");
      })
      .finally(() => {
        looked.resolve();
        looking = null;
        if (again) look();
        again = false;
      });
  };
  const wake = (): void => {
    clearTimeout(timer);
    if (!closed) timer = setTimeout(look, SETTLE_MS);
  };

  const unwatch = agent.watch({
    onConnected: look,
    onNetwork: ({ network, event }) => {
      if (OURS.test(network.name) && (event === 'stopped' || event === 'undefined')) wake();
    },
  });
  const resync = setInterval(() => {
    if (agent.connected) look();
  }, RESYNC_MS);

  return {
    looked: looked.promise,
    async close() {
      closed = true;
      clearTimeout(timer);
      clearInterval(resync);
      unwatch();
      await Promise.allSettled([looking]);
    },
  };
}
