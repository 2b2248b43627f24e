import { setTimeout as delay } from 'node:timers/promises';
import type { HostId } from '@novacron/core';
import type pg from 'pg';
import type { Logger } from 'pino';

/** How long a lease lasts without being renewed: how long a host waits for a successor after its agent was killed. */
export const LEASE_TTL_MS = 6_000;
const RENEW_MS = 2_000;
/** How long before its end a lease that was not renewed is given up. */
const MARGIN_MS = 1_000;
/** How often a host that another holds is asked for. */
const ASK_MS = 1_000;

/** A clock that nothing sets, and that no test moves to see what happens a minute later: a lease that seems to have run out is given up. */
const monotonicMs = (): number => Number(process.hrtime.bigint()) / 1e6;

export interface HostLease {
  epoch: number;
  /** Aborted when the lease is lost, or about to be: from then on the host is another's. */
  lost: AbortSignal;
  /** Aborted when it is to be given back in order: it is still ours until that is done. */
  stopping: AbortSignal;
}

interface LeaseOptions {
  pool: pg.Pool;
  hostId: HostId;
  holder: string;
  logger: Logger;
  /** When to stop. */
  signal: AbortSignal;
  /** Is it given back at the end, or left to run out, as if we had been killed? */
  givesBack(): boolean;
}

/**
 * Holds a host's lease whenever it is to be had, and runs `whileHeld` under it until the lease is lost or we stop. It is
 * renewed until `whileHeld` has returned; a lease that could not be renewed in time is given up before it ends, by a
 * clock that waits for no answer, so that two agents never speak to one host.
 */
export async function keepLease(options: LeaseOptions, whileHeld: (lease: HostLease) => Promise<void>): Promise<void> {
  const { hostId, logger, signal } = options;
  while (!signal.aborted) {
    const askedAt = monotonicMs();
    const epoch = await hold(options, null).catch((error: unknown) => {
      logger.warn({ err: error, hostId }, 'the lease of the host could not be asked for; trying again');
      return null;
    });
    if (epoch === null) {
      await pause(ASK_MS, signal);
      continue;
    }
    const lost = new AbortController();
    const done = new AbortController();
    const renewing = renew(options, epoch, askedAt, lost, done.signal);
    try {
      if (!signal.aborted) await whileHeld({ epoch, lost: lost.signal, stopping: signal });
    } finally {
      done.abort();
      await renewing;
      if (!lost.signal.aborted && options.givesBack()) await release(options);
    }
  }
}

/** Makes the lease longer until `done`; aborts `lost` when it is another's, or when nobody could say that it is ours. */
async function renew(options: LeaseOptions, epoch: number, askedAt: number, lost: AbortController, done: AbortSignal): Promise<void> {
  const { hostId, logger } = options;
  const lose = (): void => {
    logger.warn({ hostId, epoch }, 'the lease of the host was lost');
    lost.abort();
  };
  const loseAt = (renewedAt: number) => setTimeout(lose, Math.max(0, renewedAt + LEASE_TTL_MS - MARGIN_MS - monotonicMs()));
  let clock = loseAt(askedAt);
  const over = AbortSignal.any([lost.signal, done]);
  while (!over.aborted) {
    await pause(RENEW_MS, over);
    if (over.aborted) break;
    const renewedAt = monotonicMs();
    const answer = await hold(options, epoch).catch(() => undefined); // not asked: the clock runs on
    if (answer === undefined || lost.signal.aborted) continue;
    clearTimeout(clock);
    if (answer === epoch) clock = loseAt(renewedAt);
    else lose();
  }
  clearTimeout(clock);
}

async function hold({ pool, hostId, holder }: LeaseOptions, epoch: number | null): Promise<number | null> {
  const { rows } = await pool.query<{ epoch: string | null }>('SELECT operations.hold_host($1, $2, $3, $4) AS epoch', [hostId, holder, epoch, LEASE_TTL_MS]);
  const held = rows[0]?.epoch ?? null;
  return held === null ? null : Number(held);
}

/** Without it the successor waits for the lease's end, no more. */
const release = ({ pool, hostId, holder }: LeaseOptions): Promise<unknown> =>
  pool.query('SELECT operations.release_host($1, $2)', [hostId, holder]).catch(() => undefined);

const pause = (ms: number, until: AbortSignal): Promise<unknown> => delay(ms, undefined, { signal: until }).catch(() => undefined);
