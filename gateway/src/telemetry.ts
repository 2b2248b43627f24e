import type { SubscriptionMetrics } from '@novacron/supergraph';
import { Counter, Gauge, Histogram, Registry } from 'prom-client';

/** What one gateway counts about itself, for /metrics. */
export type Telemetry = ReturnType<typeof createTelemetry>;

/** Every gateway has counters of its own: several can run in one process. */
export function createTelemetry() {
  const registry = new Registry();
  const registers = [registry];
  return {
    registry,
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
    sockets: new Gauge({ name: 'novacron_sockets_active', help: 'WebSocket connections.', registers }),
    slowSockets: new Counter({
      name: 'novacron_sockets_cut_slow_total',
      help: 'WebSocket connections closed because their client did not read fast enough.',
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
