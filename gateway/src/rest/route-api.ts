import type { Viewer } from '@novacron/contracts';
import type { SampleFeed } from '@novacron/supergraph';
import type { FastifyInstance } from 'fastify';
import type { Sample } from '../events/samples.ts';
import { routeDocs, type DocsOptions } from './docs.ts';
import { routeKnownAddresses } from './known-addresses.ts';
import { KNOWN_PATHS } from './known-paths.ts';
import { PREFIX, routeRest, type RestOptions } from './rest.ts';

export interface ApiOptions<Context extends { viewer: Viewer | null }> extends RestOptions<Context>, Pick<DocsOptions<Context>, 'mayIntrospect'> {
  samples: SampleFeed<Sample>;
}

/** Everything below /api: the graph as REST at /api/v1, its description and Swagger UI, and the addresses of older clients. */
export function routeApi<Context extends { viewer: Viewer | null }>(app: FastifyInstance, { samples, mayIntrospect, ...options }: ApiOptions<Context>): Promise<void> {
  return routeRest(app, options, async (scope, rest) => {
    routeKnownAddresses(scope, rest, samples);
    await routeDocs(scope, rest, { mayIntrospect, version: '1.0.0', prefix: PREFIX, extra: KNOWN_PATHS });
  });
}
