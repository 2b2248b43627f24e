import type { Redis } from 'ioredis';
import type { Logger } from 'pino';
import type { Telemetry } from '../telemetry.ts';
import type { Attempt } from './attempts.ts';
import type { Charge, Quota, Standing } from './quota.ts';
import type { RateLimitSettings } from './settings.ts';
import { localWindows, redisWindows } from './sliding-window.ts';

/** What callers have used, in all gateways together. */
export interface Ledger {
  readonly quotas: Readonly<Record<'api' | Attempt, Quota>>;
  /** Takes all of the charges or none. Does not fail: see below for what holds without Redis. */
  charge(charges: readonly Charge[]): Promise<Standing[]>;
  /** Corrects what a charge turned out to be, sooner or later. */
  correct(charge: Charge, slice: number, points: number): void;
}

export interface LedgerOptions {
  settings: RateLimitSettings;
  /** Null: this process counts alone. */
  redis: Redis | null;
  telemetry: Pick<Telemetry, 'rateUnchecked'>;
  logger: Logger;
  /** Instead of Redis' clock, for tests. */
  now?: (() => number) | undefined;
}

const MINUTE_MS = 60_000;
/** Administrators make users and tokens from scripts: many more than anybody signs in, but not without end. */
const MADE_PER_LOGIN = 12;

/**
 * Without Redis points are not counted, and requests are served; attempts are counted by each gateway alone: nobody is
 * locked out, and nobody guesses without limit (docs/adr/0021).
 */
export function createLedger({ settings, redis, telemetry, logger, now }: LedgerOptions): Ledger {
  const minutely = (name: string, points: number): Quota => ({ name, points, windowMs: MINUTE_MS });
  const quotas = {
    api: minutely('api', settings.pointsPerMinute),
    login: minutely('login', settings.loginsPerMinute),
    register: minutely('register', settings.registrationsPerMinute),
    password: minutely('password', settings.loginsPerMinute),
    made: minutely('made', settings.loginsPerMinute * MADE_PER_LOGIN),
  };
  const local = localWindows(now);
  const shared = redis === null ? local : redisWindows(redis, now);
  let isAway = false;

  function away(err: unknown): void {
    if (!isAway) logger.warn({ err }, 'Redis is away: what callers use is not counted, attempts to sign in by this gateway alone');
    isAway = true;
  }

  return {
    quotas,
    async charge(charges) {
      try {
        const standings = await shared.charge(charges);
        if (isAway) logger.info('Redis is back: what callers use is counted again');
        isAway = false;
        return standings;
      } catch (err) {
        away(err);
        const guarded = charges.filter(({ quota }) => quota !== quotas.api);
        if (guarded.length < charges.length) telemetry.rateUnchecked.inc({ limit: quotas.api.name });
        return local.charge(guarded);
      }
    },
    correct(charge, slice, points) {
      shared.correct(charge, slice, points).catch(away);
    },
  };
}
