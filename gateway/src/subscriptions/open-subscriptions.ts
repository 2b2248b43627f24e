import type { RequestContext, Viewer } from '@novacron/contracts';
import { newId } from '@novacron/core';
import type { EventLog } from '@novacron/events';
import {
  createSubscriptionEngine,
  createSubscriptionPlanner,
  type Presentation,
  type SubgraphSource,
  type SubscriptionEngine,
  type SubscriptionPlanner,
  type Supergraph,
  type SupergraphSource,
} from '@novacron/supergraph';
import { untraced } from '@novacron/telemetry';
import type { Logger } from 'pino';
import type { EventHub } from '../events/hub.ts';
import type { SampleFeed } from '../events/samples.ts';
import { createEventsSchema, EVENTS_SUBGRAPH } from '../events/schema.ts';
import { STREAMS } from '../events/streams.ts';
import type { createProtection } from '../protection.ts';
import { subscriptionMetrics, type Telemetry } from '../telemetry.ts';
import { rightsOf } from './rights.ts';

export interface SubscriptionsOptions {
  supergraphs: SupergraphSource;
  /** Every subgraph that fills in what an event does not carry. */
  dataSources: Readonly<Record<string, SubgraphSource<RequestContext>>>;
  hub: EventHub;
  history: EventLog;
  samples: SampleFeed;
  presentation: Presentation<RequestContext>;
  protection: ReturnType<typeof createProtection>;
  telemetry: Telemetry;
  logger: Logger;
}

/** What answers subscriptions, whichever transport brings them. */
export interface Subscriptions {
  /** Plans on the supergraph of the moment. */
  planner: SubscriptionPlanner<RequestContext>;
  engine: SubscriptionEngine<Viewer, RequestContext>;
  /** Stops following the supergraph. */
  close(): void;
}

/** Follows the supergraph: who is subscribed stays, and is told of what happens next by the new one. */
export function openSubscriptions(options: SubscriptionsOptions): Subscriptions {
  const { supergraphs, dataSources, hub, history, samples, presentation, protection, telemetry, logger } = options;
  const events = { name: EVENTS_SUBGRAPH, schema: createEventsSchema() };
  const plannerOf = (supergraph: Supergraph) =>
    createSubscriptionPlanner({ supergraph, dataSources, events, presentation: untracedPresentation(presentation), protection, logger });

  let current = plannerOf(supergraphs.current);
  const planner: SubscriptionPlanner<RequestContext> = {
    get apiSchema() {
      return current.apiSchema;
    },
    plan: (...asked) => current.plan(...asked),
  };
  const engine = createSubscriptionEngine({
    hub,
    history,
    samples,
    streams: STREAMS,
    contextOf: (viewer) => ({ viewer, requestId: newId(), address: null, userAgent: null }),
    rightsOf,
    metrics: subscriptionMetrics(telemetry),
  });
  const close = supergraphs.onChange((supergraph) => {
    current = plannerOf(supergraph);
    engine.replan(current);
  });
  return { planner, engine, close };
}

/** Events by the hundred a second, each for as long as anybody listens: no matter for traces. */
const untracedPresentation = (presentation: Presentation<RequestContext>): Presentation<RequestContext> => ({
  ...presentation,
  inRequest: (context, run) => untraced(() => presentation.inRequest(context, run)),
});
