import type { RequestContext, Viewer } from '@novacron/contracts';
import { networkOf } from '@novacron/core';
import type { Telemetry } from '../telemetry.ts';
import { createAllowance, type Allowance, type Caller } from './allowance.ts';
import { createLedger, type LedgerOptions } from './ledger.ts';
import { createPlaces, type Place } from './places.ts';
import { RateLimited } from './quota.ts';

/** What travels with a request inside the gateway. */
export interface LimitedContext extends RequestContext {
  allowance: Allowance;
}

/** What callers may use and hold, counted in all gateways together. */
export interface RateLimits {
  /** Of one request, which begins by taking its first point. */
  allowanceOf(caller: Caller): Allowance;
  /** A WebSocket or an event stream. Who signs in later takes one as a user, then gives the first one back. RATE_LIMITED. */
  holdConnection(caller: Caller): Promise<Place>;
  /** One subscription of a user, and of each tenant that it has a role in; nobody's are refused where they begin. RATE_LIMITED. */
  holdSubscription(viewer: Viewer | null): Promise<Place>;
  /** Refuses what one connection has under way, with this one, if it is too much. RATE_LIMITED. */
  checkConnection(operations: number): void;
  /** Other gateways know at once that nothing is held here any more. */
  close(): Promise<void>;
}

export interface RateLimitsOptions extends LedgerOptions {
  telemetry: Pick<Telemetry, 'rateLimited' | 'rateUnchecked'>;
}

/** When to come back for a place: nobody knows when one is given back. */
const PLACE_WAIT_MS = 10_000;

/** The limits of one gateway, shared with others through Redis. */
export function createRateLimits(options: RateLimitsOptions): RateLimits {
  const { settings, redis, telemetry, logger } = options;
  const ledger = createLedger(options);
  const places = createPlaces(redis, logger);
  const refused = (limit: string) => telemetry.rateLimited.inc({ limit });

  async function hold(kind: 'connections' | 'subscriptions', wanted: readonly { whose: 'user' | 'address' | 'tenant'; id: string; limit: number }[]): Promise<Place> {
    const claims = wanted.filter(({ limit }) => limit > 0).map(({ whose, id, limit }) => ({ whose, limit, key: `${kind}:${whose}:${id}` }));
    if (claims.length === 0) return { release() {} };
    const place = await places.take(claims);
    if (typeof place === 'object') return place;
    refused(kind);
    const { whose = '', limit = 0 } = claims[place] ?? {};
    throw new RateLimited(`One ${whose} holds at most ${limit} ${kind} at once`, PLACE_WAIT_MS);
  }

  return {
    allowanceOf: (caller) => createAllowance(caller, ledger, refused),
    holdConnection: ({ viewer, address }) =>
      hold('connections', [
        viewer === null
          ? { whose: 'address', id: networkOf(address), limit: settings.connectionsPerAddress }
          : { whose: 'user', id: viewer.userId, limit: settings.connectionsPerUser },
      ]),
    holdSubscription: (viewer) => {
      const tenants = new Set(viewer?.roles.map(({ tenantId }) => tenantId));
      return hold('subscriptions', [
        ...(viewer === null ? [] : [{ whose: 'user' as const, id: viewer.userId, limit: settings.subscriptionsPerUser }]),
        ...[...tenants].map((id) => ({ whose: 'tenant' as const, id, limit: settings.subscriptionsPerTenant })),
      ]);
    },
    checkConnection(operations) {
      const { subscriptionsPerConnection: limit } = settings;
      if (limit === 0 || operations <= limit) return;
      refused('subscriptions');
      throw new RateLimited(`One connection holds at most ${limit} subscriptions at once`, PLACE_WAIT_MS);
    },
    close: () => places.close(),
  };
}
