import type { FastifyInstance } from 'fastify';
import type { Allowance } from '../rate-limits/allowance.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** What its caller may still use; null until it was asked who that is. */
    allowance: Allowance | null;
  }
}

/** Says with every answer of the API what is left of the caller's quotas, and with a refusal when to come back. */
export function tellRateLimits(app: FastifyInstance): void {
  app.decorateRequest('allowance', null);
  app.addHook('onSend', async ({ allowance }, reply, payload) => {
    if (allowance !== null) reply.headers(allowance.fields());
    return payload;
  });
}
