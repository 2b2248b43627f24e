import type { Viewer } from '@novacron/contracts';
import type { SampleFeed } from '@novacron/supergraph';
import type { FastifyInstance } from 'fastify';
import type { Sample } from '../events/samples.ts';
import { routeDocs } from './docs.ts';
import { routeKnownAddresses } from './known-addresses.ts';
import { KNOWN_PATHS } from './known-paths.ts';
import { PREFIX, routeRest, type RestOptions } from './rest.ts';

/** What someone may do who is nobody yet. */
const PUBLIC: ReadonlySet<string> = new Set(['login', 'refreshSession']);
const isPublic = (field: string): boolean => PUBLIC.has(field);

export interface ApiOptions<Context extends { viewer: Viewer | null }> extends Omit<RestOptions<Context>, 'isPublic'> {
  samples: SampleFeed<Sample>;
}

/** Everything below /api: the graph as REST at /api/v1, its description and Swagger UI, and the addresses of older clients. */
export function routeApi<Context extends { viewer: Viewer | null }>(app: FastifyInstance, { samples, ...options }: ApiOptions<Context>): Promise<void> {
  return routeRest(app, { ...options, isPublic }, async (scope, rest) => {
    routeKnownAddresses(scope, rest, samples);
    await routeDocs(scope, rest.api, { version: '1.0.0', prefix: PREFIX, isPublic, extra: KNOWN_PATHS });
  });
}
