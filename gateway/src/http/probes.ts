import type { Authenticator } from '@novacron/contracts';
import type { EventLog } from '@novacron/events';
import type { SupergraphFile } from '@novacron/supergraph';
import type { Circuit } from '@novacron/transport';
import type { FastifyInstance } from 'fastify';
import type { Redis } from 'ioredis';
import type { EventHub } from '../events/hub.ts';

export interface ProbeOptions {
  authenticator: Authenticator;
  events: EventLog;
  hub: EventHub;
  redis: Redis;
  supergraph: SupergraphFile;
  /** Which subgraphs are asked. */
  circuits(): Record<string, Circuit>;
}

/** How long a part may take to show that it is there. */
const DEADLINE_MS = 2_000;

async function isThere(check: () => Promise<unknown>): Promise<boolean> {
  const late = Promise.withResolvers<boolean>();
  const timer = setTimeout(late.resolve, DEADLINE_MS, false);
  try {
    return await Promise.race([check().then((answer) => answer !== false), late.promise]);
  } catch {
    return false; // that it is not there is the answer
  } finally {
    clearTimeout(timer);
  }
}

/** What is served, and whether its file holds something else by now that was refused; why stands in the log. */
export const supergraphStatus = ({ current, state }: SupergraphFile) => ({ hash: current.hash, loadedAt: state.loadedAt.toISOString(), isUpToDate: state.refusal === null });

/** What supervisors, balancers and collectors ask: /health, /ready, and the public keys of access tokens. */
export function routeProbes(app: FastifyInstance, { authenticator, events, hub, redis, supergraph, circuits }: ProbeOptions): void {
  app.get('/health', async () => ({ status: 'ok' }));

  app.get('/ready', async (_request, reply) => {
    const [reader, store] = await Promise.all([
      // The reader is alive if it comes to where the log ends now.
      isThere(async () => hub.reaches(await events.head(), DEADLINE_MS)),
      isThere(() => redis.ping()),
    ]);
    // The supergraph was loaded before this route was there.
    const checks = { supergraph: true, events: reader, redis: store };
    // A subgraph that is away costs its own fields: no reason to take this gateway out.
    const ready = Object.values(checks).every(Boolean);
    return reply.code(ready ? 200 : 503).header('cache-control', 'no-store').send({ ready, checks, supergraph: supergraphStatus(supergraph), subgraphs: circuits() });
  });

  app.get('/.well-known/jwks.json', async (_request, reply) =>
    reply.header('cache-control', 'public, max-age=60').send(await authenticator.jwks()),
  );
}
