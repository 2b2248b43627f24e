import { setTimeout as delay } from 'node:timers/promises';
import type { HostId } from '@novacron/core';
import type pg from 'pg';
import type { Logger } from 'pino';

/** How long a lease lasts without being renewed: how long a host waits for a successor after its agent was killed. */
export const LEASE_TTL_MS = 6_000;
const RENEW_MS = 2_000;
/** How often a host that another holds is asked for. */
const ASK_MS = 1_000;

export interface HostLease {
  epoch: number;
  /** Aborted when the lease is lost. */
  signal: AbortSignal;
}

/**
 * Holds a host's lease whenever it is to be had, and runs `whileHeld` under it. A lease that could not be renewed in
 * time is given up before it ends, so that two agents never speak to one host.
 */
export async function keepLease(
  options: { pool: pg.Pool; hostId: HostId; holder: string; logger: Logger; signal: AbortSignal },
  whileHeld: (lease: HostLease) => Promise<void>,
): Promise<void> {
  const { pool, hostId, holder, logger, signal } = options;

  const hold = async (): Promise<number | null> => {
    const { rows } = await pool.query<{ epoch: string | null }>('SELECT operations.hold_host($1, $2, $3) AS epoch', [hostId, holder, LEASE_TTL_MS]);
    const epoch = rows[0]?.epoch ?? null;
    return epoch === null ? null : Number(epoch);
  };
  const pause = (ms: number, until: AbortSignal) => delay(ms, undefined, { signal: until }).catch(() => undefined);

  /** Renews until the lease is lost or we stop. */
  const renew = async (epoch: number, lost: AbortController): Promise<void> => {
    let heldUntil = performance.now() + LEASE_TTL_MS;
    while (!lost.signal.aborted) {
      await pause(RENEW_MS, lost.signal);
      if (lost.signal.aborted) return;
      const askedAt = performance.now();
      const answer = await hold().catch(() => undefined);
      if (answer === epoch) heldUntil = askedAt + LEASE_TTL_MS;
      else if (answer !== undefined || performance.now() > heldUntil - RENEW_MS) {
        logger.warn({ hostId, epoch }, 'the lease of the host was lost');
        lost.abort();
      }
    }
  };

  while (!signal.aborted) {
    const epoch = await hold().catch((error: unknown) => {
      logger.warn({ err: error, hostId }, 'the lease of the host could not be asked for; trying again');
      return null;
    });
    if (epoch === null) {
      await pause(ASK_MS, signal);
      continue;
    }
    const lost = new AbortController();
    const stop = (): void => lost.abort();
    signal.addEventListener('abort', stop, { once: true });
    const renewing = renew(epoch, lost);
    try {
      await whileHeld({ epoch, signal: lost.signal });
    } finally {
      signal.removeEventListener('abort', stop);
      lost.abort();
      await renewing;
    }
  }
}
