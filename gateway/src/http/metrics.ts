import { createHash, timingSafeEqual } from 'node:crypto';
import type { FastifyInstance } from 'fastify';
import type { Telemetry } from '../telemetry.ts';

const digest = (text: string): Buffer => createHash('sha256').update(text).digest();

/**
 * What Prometheus scrapes at /metrics. Names of operations, routes and subgraphs are in it, and how much they are used: nothing of
 * tenants, but no stranger's business either. With a token only whoever sends it is answered.
 */
export function routeMetrics(app: FastifyInstance, telemetry: Telemetry, token: string | null): void {
  const wanted = token === null ? null : digest(`Bearer ${token}`);
  app.get('/metrics', async (request, reply) => {
    // of equal length, and compared in a time that says nothing
    if (wanted !== null && !timingSafeEqual(digest(request.headers.authorization ?? ''), wanted)) {
      return reply.code(401).header('www-authenticate', 'Bearer').send({ errors: [{ message: 'Send the token of metrics.', extensions: { code: 'UNAUTHENTICATED' } }] });
    }
    return reply.type(telemetry.registry.contentType).header('cache-control', 'no-store').send(await telemetry.print());
  });
}
