import type { RequestContext, Viewer } from '@novacron/contracts';
import { DomainError } from '@novacron/core';
import type { FastifyRequest } from 'fastify';
import { userAgentOf } from '../user-agent.ts';
import type { Viewers } from '../viewers.ts';

/** Who asks over HTTP. UNAUTHENTICATED for a token that is no good, UNAVAILABLE where nobody can tell. */
export const createContextOf =
  (viewers: Viewers) =>
  async (request: FastifyRequest): Promise<RequestContext> => ({
    viewer: await authenticate(request.headers.authorization, viewers),
    requestId: request.id,
    address: request.ip,
    userAgent: userAgentOf(request.headers),
  });

/** Nobody without a token, since some fields need none; a token that is no good is refused whatever the fields. */
async function authenticate(authorization: string | undefined, viewers: Viewers): Promise<Viewer | null> {
  if (authorization === undefined) return null;
  const token = /^Bearer\s+(\S+)$/i.exec(authorization)?.[1];
  if (token === undefined) throw new DomainError('UNAUTHENTICATED', 'Send the access token as "Authorization: Bearer <token>".');
  return (await viewers.authenticate(token)).viewer;
}
