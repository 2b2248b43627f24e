import { API_TOKEN_PREFIX } from '@novacron/contracts';
import { DomainError } from '@novacron/core';
import type { FastifyRequest } from 'fastify';
import type { Allowance } from '../rate-limits/allowance.ts';
import type { LimitedContext, RateLimits } from '../rate-limits/rate-limits.ts';
import type { Refusals } from '../refusals.ts';
import { userAgentOf } from '../user-agent.ts';
import type { Authenticated, Viewers } from '../viewers.ts';

/** Who asks over HTTP, and what it may still use. UNAUTHENTICATED for a token that is no good, UNAVAILABLE where nobody can tell, RATE_LIMITED. */
export const createContextOf = (viewers: Viewers, limits: RateLimits, refusals: Refusals) => {
  const admit = createAdmission(viewers, limits, refusals);
  return async (request: FastifyRequest): Promise<LimitedContext> => {
    const { authenticated, allowance } = await admit(request);
    return { viewer: authenticated?.viewer ?? null, requestId: request.id, address: request.ip, userAgent: userAgentOf(request.headers), allowance };
  };
};

/**
 * Lets a request in: takes its first point, from its address where nobody stands behind it, a token that is no good included. What looks like
 * an API token is looked up in the database: the address pays for that beforehand, or anybody could keep the database busy with tokens made up.
 */
export const createAdmission =
  (viewers: Viewers, limits: RateLimits, refusals: Refusals) =>
  async (request: FastifyRequest): Promise<{ authenticated: Authenticated | null; allowance: Allowance }> => {
    request.allowance = limits.allowanceOf({ viewer: null, address: request.ip });
    const token = bearerOf(request);
    if (token?.startsWith(API_TOKEN_PREFIX) && !viewers.knows(token, request.ip)) await request.allowance.admit();
    const [identified] = await Promise.allSettled([authenticate(request, viewers)]);
    const authenticated = identified.status === 'fulfilled' ? identified.value : null;
    const allowance = (request.allowance = limits.allowanceOf({ viewer: authenticated?.viewer ?? null, address: request.ip }));
    await allowance.admit();
    if (identified.status === 'rejected') {
      if (DomainError.from(identified.reason).code === 'UNAUTHENTICATED') refusals.token({ requestId: request.id, address: request.ip, userAgent: userAgentOf(request.headers) });
      throw identified.reason;
    }
    return { authenticated, allowance };
  };

/** Nobody without a token, since some fields need none; a token that is no good is refused whatever the fields. */
async function authenticate(request: FastifyRequest, viewers: Viewers): Promise<Authenticated | null> {
  if (request.headers.authorization === undefined) return null;
  const token = bearerOf(request);
  if (token === undefined) throw new DomainError('UNAUTHENTICATED', 'Send the access token as "Authorization: Bearer <token>".');
  return viewers.authenticate(token, request.ip);
}

const bearerOf = ({ headers: { authorization } }: FastifyRequest): string | undefined => /^Bearer\s+(\S+)$/i.exec(authorization ?? '')?.[1];
