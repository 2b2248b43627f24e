import type { RequestContext } from '@novacron/contracts';
import { createBuilder } from '@novacron/graphql';
import type { Loaders } from '../loaders.ts';

/** What the resolvers work with: made for every request. */
export interface MonitoringContext extends RequestContext {
  loaders: Loaders;
  /** One moment for the whole request, so that what ends "now" is read together. */
  now: Date;
}

export const builder = createBuilder<MonitoringContext>();
