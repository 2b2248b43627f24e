import type { SubscriptionMetrics } from '@novacron/supergraph';
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';

/** What one gateway counts about itself, for /metrics. */
export type Telemetry = ReturnType<typeof createTelemetry>;

/** CPU, memory, garbage collection, file descriptors and the lag of the event loop: of the process, however many gateways are in it. */
const processMetrics = (() => {
  let registry: Registry | undefined;
  return (): Registry => {
    if (registry === undefined) collectDefaultMetrics({ register: (registry = new Registry()) });
    return registry;
  };
})();

/** From a cache's answer to what a subgraph may take at most. */
const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** Every gateway has counters of its own: several can run in one process. */
export function createTelemetry() {
  const registry = new Registry();
  const registers = [registry];
  const ofProcess = processMetrics();
  return {
    registry,
    /** All of it in Prometheus' text format. */
    print: () => Registry.merge([ofProcess, registry]).metrics(),
    httpRequests: new Counter({
      name: 'novacron_http_requests_total',
      help: 'HTTP requests answered.',
      labelNames: ['method', 'route', 'status'] as const,
      registers,
    }),
    operations: new Counter({
      name: 'novacron_graphql_operations_total',
      help: 'GraphQL operations answered; a subscription counts when it begins.',
      labelNames: ['type', 'outcome'] as const,
      registers,
    }),
    operationSeconds: new Histogram({
      name: 'novacron_graphql_operation_duration_seconds',
      help: 'Queries and mutations, from when one is understood to its answer; names beyond the first 200 are "other".',
      labelNames: ['operation', 'type', 'outcome'] as const,
      buckets: SECONDS,
      registers,
    }),
    operationsInFlight: new Gauge({ name: 'novacron_graphql_operations_in_flight', help: 'Queries and mutations under way.', registers }),
    plans: new Counter({
      name: 'novacron_query_plans_total',
      help: 'Runs of operations whose plan was kept from before (hit), and others (miss).',
      labelNames: ['cache'] as const,
      registers,
    }),
    planSeconds: new Histogram({ name: 'novacron_query_plan_duration_seconds', help: 'Planning of an operation that had no plan yet.', buckets: SECONDS, registers }),
    fetchSeconds: new Histogram({
      name: 'novacron_subgraph_fetch_duration_seconds',
      help: 'Fetches from a subgraph, with their retries.',
      labelNames: ['subgraph'] as const,
      buckets: SECONDS,
      registers,
    }),
    fetchErrors: new Counter({
      name: 'novacron_subgraph_fetch_errors_total',
      help: 'Fetches from a subgraph whose answer has errors, by the code of the first.',
      labelNames: ['subgraph', 'code'] as const,
      registers,
    }),
    sockets: new Gauge({ name: 'novacron_sockets_active', help: 'WebSocket connections.', registers }),
    eventStreams: new Gauge({ name: 'novacron_event_streams_active', help: 'Operations answered as server-sent events.', registers }),
    slowSockets: new Counter({
      name: 'novacron_sockets_cut_slow_total',
      help: 'WebSocket connections and event streams closed because their client did not read fast enough.',
      registers,
    }),
    rateLimited: new Counter({
      name: 'novacron_rate_limited_total',
      help: 'Refusals because a caller has used or holds all that it may, by limit.',
      labelNames: ['limit'] as const,
      registers,
    }),
    rateUnchecked: new Counter({
      name: 'novacron_rate_unchecked_total',
      help: 'Requests served though nobody knew what their caller had used, Redis being away, by limit.',
      labelNames: ['limit'] as const,
      registers,
    }),
    subscriptions: new Gauge({
      name: 'novacron_subscriptions_active',
      help: 'Subscriptions, by field.',
      labelNames: ['field'] as const,
      registers,
    }),
    delivered: new Counter({
      name: 'novacron_messages_delivered_total',
      help: 'Messages handed to sockets, by subscription field.',
      labelNames: ['field'] as const,
      registers,
    }),
    deliverySeconds: new Histogram({
      name: 'novacron_event_delivery_seconds',
      help: 'From the commit of a change until its message is handed to the sockets of a group; replays do not count.',
      buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5],
      registers,
    }),
  };
}

/** What subscriptions count of themselves, among it. */
export const subscriptionMetrics = ({ subscriptions, delivered, deliverySeconds }: Telemetry): SubscriptionMetrics => ({
  began: (field) => subscriptions.inc({ field }),
  ended: (field) => subscriptions.dec({ field }),
  delivered: (field) => delivered.inc({ field }),
  handedOver: (afterMs) => deliverySeconds.observe(afterMs / 1_000),
});
