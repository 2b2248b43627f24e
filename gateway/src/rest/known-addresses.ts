import type { HostSample, Viewer } from '@novacron/contracts';
import { DomainError } from '@novacron/core';
import type { SampleFeed } from '@novacron/supergraph';
import type { FastifyInstance } from 'fastify';
import type { Sample } from '../events/samples.ts';
import { STREAMS } from '../events/streams.ts';
import type { Method } from './routes.ts';
import { send, type Rest } from './rest.ts';

/** Other names of root fields, by which clients know them that are older than this API. */
const ALIASES: Readonly<Record<string, string>> = {
  '/auth/login': 'login',
  '/auth/register': 'register',
  '/auth/refresh': 'refreshSession',
  '/auth/logout': 'logout',
};

/** What older clients ask for: /api/auth/..., /api/health, and the latest samples at /api/v1/metrics/.... */
export function routeKnownAddresses<Context extends { viewer: Viewer | null }>(scope: FastifyInstance, rest: Rest<Context>, samples: SampleFeed<Sample>): void {
  scope.get('/health', async () => ({ status: 'ok' }));
  for (const [path, field] of Object.entries(ALIASES)) scope.post(path, (request, reply) => rest.answerField(field, request, reply));

  function route(method: Method, url: string, answer: (viewer: Viewer | null) => object): void {
    scope.route({
      method,
      url,
      handler: async (request, reply) => send(reply, { status: 200, headers: { 'content-type': 'application/json; charset=utf-8' }, body: answer((await rest.contextOf(request)).viewer) }),
    });
  }

  route('GET', '/v1/metrics/system', (viewer) => {
    const hosts = latest(samples, 'hostMetrics', viewer).flatMap((sample) => (sample.kind === 'host' ? sample.value : []));
    return { at: new Date().toISOString(), totals: totalsOf(hosts), hosts };
  });
  route('GET', '/v1/metrics/vms', (viewer) => ({
    at: new Date().toISOString(),
    items: latest(samples, 'vmMetrics', viewer).map(({ value }) => value),
  }));
}

/** The latest samples that the viewer may see, as the subscription of this name would begin with. UNAUTHENTICATED, FORBIDDEN. */
function latest(samples: SampleFeed<Sample>, field: 'vmMetrics' | 'hostMetrics', viewer: Viewer | null): Sample[] {
  const stream = STREAMS[field];
  if (stream?.source !== 'samples') throw new DomainError('INTERNAL', `No samples feed ${field}.`);
  const admitted = stream.admit(viewer);
  return samples.latest(stream.kind, null).filter((sample) => stream.shows(sample, {}, admitted));
}

/** Of hosts that are sampled now. `cpu`: the mean of their shares, 0..1; null without a host. */
function totalsOf(hosts: readonly HostSample[]) {
  const sum = (read: (host: HostSample) => number): number => hosts.reduce((total, host) => total + read(host), 0);
  return {
    hosts: hosts.length,
    cpu: hosts.length === 0 ? null : sum(({ cpu }) => cpu) / hosts.length,
    memoryUsed: sum(({ memoryUsed }) => memoryUsed),
    memoryTotal: sum(({ memoryTotal }) => memoryTotal),
    vmsRunning: sum(({ vmsRunning }) => vmsRunning),
  };
}
