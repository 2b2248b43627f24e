import type { AuditTrail } from '@novacron/audit';
import type { Authenticator, ReceiveUpload } from '@novacron/contracts';
import type { EventLog } from '@novacron/events';
import { InvalidSupergraph, openSupergraphFile, type Limits, type Supergraph } from '@novacron/supergraph';
import { routeUploads, stopServer, type DataSource } from '@novacron/transport';
import type { Redis } from 'ioredis';
import type { Logger } from 'pino';
import { createPresentation, formatError } from './errors.ts';
import { createEventHub } from './events/hub.ts';
import { createSampleFeed } from './events/samples.ts';
import { EVENTS_SUBGRAPH } from './events/schema.ts';
import { createGraph } from './graph.ts';
import type { TlsFiles } from './http/certificate.ts';
import { compressAnswers } from './http/compression.ts';
import { routeEventStreams } from './http/event-streams.ts';
import { routeGraphql } from './http/graphql.ts';
import { listening } from './http/listen.ts';
import { routeMetrics } from './http/metrics.ts';
import { routeAccountPages } from './http/account-pages.ts';
import { routePlayground } from './http/playground.ts';
import { routeProbes } from './http/probes.ts';
import { routeQueryPlan } from './http/query-plan.ts';
import { openRedirect } from './http/redirect.ts';
import { createContextOf } from './http/request-context.ts';
import { createHttpServer } from './http/server.ts';
import { openTls } from './http/tls.ts';
import { createLivingSessions } from './living-sessions.ts';
import { createOperationObserver } from './observation/operation-observer.ts';
import { createPlainEvents } from './plain-events/plain-events.ts';
import { createProtection, type Introspection } from './protection.ts';
import { chargeOperations } from './rate-limits/charged-operations.ts';
import { trustProxies } from './rate-limits/client-address.ts';
import { createRateLimits, type LimitedContext } from './rate-limits/rate-limits.ts';
import type { RateLimitSettings } from './rate-limits/settings.ts';
import { createRefusals } from './refusals.ts';
import { routeApi } from './rest/route-api.ts';
import { protectSubgraphs } from './subgraph-protection.ts';
import { openSubscriptions } from './subscriptions/open-subscriptions.ts';
import { createSessions } from './subscriptions/sessions.ts';
import { createSocketServer } from './subscriptions/socket-server.ts';
import { measureSupergraph } from './supergraph-metrics.ts';
import { createTelemetry, subscriptionMetrics } from './telemetry.ts';
import { createViewers } from './viewers.ts';

export { composeSupergraph } from './compose.ts';
export { checkKeys } from './entity-keys.ts';
export { EVENTS_SUBGRAPH, eventsSdl } from './events/schema.ts';

const REQUEST_TIMEOUT_MS = 15_000;
const SLOW_OPERATION_MS = 1_000;
/** Connections that may wait to be taken up, as far as the kernel lets them (net.core.somaxconn): all who subscribe come back at once after a restart. */
const BACKLOG = 4_096;

export interface GatewayOptions {
  /** The composed graph: gateway/supergraph.graphql. What the file holds later is served without a restart. */
  supergraphFile: string;
  /** Every subgraph of the supergraph but `events`, which the gateway answers itself. Closed by whoever made them. */
  dataSources: Readonly<Record<string, DataSource>>;
  authenticator: Authenticator;
  events: EventLog;
  /** For metrics, which are published; the gateway opens a second connection for listening. */
  redis: Redis;
  /** Takes what is PUT to /uploads; null: nothing is taken. */
  uploads?: ReceiveUpload | null;
  /** Is told of whom the gateway itself refuses; null: nobody is. */
  audit?: Pick<AuditTrail, 'refused'> | null;
  logger: Logger;
  host: string;
  /** 0: the system chooses. */
  port: number;
  /** HTTPS and WSS with this certificate, and nothing else at that port; null: plain HTTP. */
  tls?: TlsFiles | null;
  /** With `tls`: where plain HTTP is answered, too, by sending clients to HTTPS. Null: nowhere; 0: the system chooses. */
  redirectPort?: number | null;
  /** Origins of browser applications elsewhere: `https://dashboard.example`. The gateway's own is always allowed. */
  allowedOrigins?: readonly string[];
  /** How much callers may use and hold; 0 of what they may as they like. */
  rateLimits: RateLimitSettings;
  /** CIDRs of proxies in front of the gateway: what they say in X-Forwarded-* about a client is believed. */
  trustedProxies?: readonly string[];
  /** What one document may be at most. */
  documentLimits?: Partial<Limits>;
  /** Points that an operation may cost by its estimate: 5,000; 0: any number. */
  maximumCost?: number;
  /** Who may read the schema: everyone, unless told. */
  introspection?: Introspection;
  /** How long a query or a mutation over HTTP may take. */
  requestTimeoutMs?: number;
  /** How long a subgraph may take to answer before its fields are null: 10 s. */
  subgraphTimeoutMs?: number;
  /** Operations that take longer are logged with their plan: 1,000; 0: none. */
  slowOperationMs?: number;
  /** What whoever reads /metrics has to send as a bearer token; null: nothing. */
  metricsToken?: string | null;
  /** The built playground: gateway/playground/dist. */
  playgroundDir: string;
}

export interface Gateway {
  /** https: with TLS. */
  url: string;
  port: number;
  /** Where plain HTTP is sent on to HTTPS; null: nowhere. */
  redirectPort: number | null;
  /** Sends subscribers away with the cursor from which they resume elsewhere, waits for requests in flight, five seconds at most. */
  close(): Promise<void>;
}

/**
 * The front door: GraphQL over HTTP and WebSocket at /graphql, the playground, /health, /ready, /metrics and the public
 * keys. Fails with one clear sentence when the port is taken, the certificate no good or a subgraph has no data source.
 */
export async function createGateway(options: GatewayOptions): Promise<Gateway> {
  const { dataSources, authenticator, events, redis, logger, host, allowedOrigins = [], requestTimeoutMs = REQUEST_TIMEOUT_MS } = options;
  /** What was opened, to be closed in reverse: also when a later part fails to open. */
  const opened = new AsyncDisposableStack();
  try {
    const supergraphs = await openSupergraphFile({ path: options.supergraphFile, accept: (supergraph) => requireSources(supergraph, dataSources), logger });
    opened.defer(() => supergraphs.close());
    const telemetry = createTelemetry();
    measureSupergraph(supergraphs, telemetry.registry);
    const subgraphs = protectSubgraphs(dataSources, { timeoutMs: options.subgraphTimeoutMs, requestTimeoutMs, registry: telemetry.registry, logger });
    const hub = await createEventHub(events, logger);
    opened.defer(() => hub.close());
    const viewers = await createViewers(authenticator, hub, events, createLivingSessions(redis, logger));
    opened.defer(() => viewers.close());
    const samples = await createSampleFeed(redis, logger);
    opened.defer(() => samples.close());
    const limits = createRateLimits({ settings: options.rateLimits, redis, telemetry, logger });
    opened.defer(() => limits.close());
    const refusals = createRefusals(options.audit ?? null);
    const protection = createProtection({ ...options, refusals });
    const presentation = createPresentation(logger);
    const observer = createOperationObserver<LimitedContext>({ telemetry, slowOperationMs: options.slowOperationMs ?? SLOW_OPERATION_MS, isSignedIn: ({ viewer }) => viewer !== null, logger });
    const graph = createGraph<LimitedContext>({ supergraphs, sourcesOf: () => observer.sources(subgraphs.sources), presentation, observer, charging: chargeOperations, telemetry, protection, logger });
    opened.defer(() => graph.close());

    const tls = options.tls ? await openTls(options.tls, telemetry.registry, logger) : null;
    opened.defer(() => tls?.close());
    const trustProxy = trustProxies(options.trustedProxies ?? []);
    const app = createHttpServer({ allowedOrigins, trustProxy, telemetry, logger, tls });
    opened.defer(() => stopServer(app));
    await compressAnswers(app);
    const playground = await routePlayground(app, options.playgroundDir);
    await routeAccountPages(app);
    const answering = { graph, contextOf: createContextOf(viewers, limits, refusals), formatError: (thrown: unknown, requestId: string) => formatError(thrown, logger, requestId), timeoutMs: requestTimeoutMs };
    routeGraphql(app, { ...answering, sendPage: playground.send });
    routeQueryPlan(app, { ...answering, onRefused: (context) => refusals.request(context, 'queryPlan') });
    await routeApi(app, { ...answering, supergraph: () => supergraphs.current, samples, mayIntrospect: protection.mayIntrospect, onStranger: (context, route) => refusals.request(context, route.field), logger });
    if (options.uploads) routeUploads(app, options.uploads, (error, requestId) => formatError(error, logger, requestId));
    routeProbes(app, { authenticator, events, hub, redis, supergraph: supergraphs, circuits: subgraphs.circuits });
    routeMetrics(app, telemetry, options.metricsToken ?? null);

    const { planner, engine, close: stopFollowing } = openSubscriptions({ supergraphs, dataSources: observer.sources(subgraphs.sources), hub, history: events, samples, presentation, protection, telemetry, logger });
    opened.defer(stopFollowing);
    const sessions = createSessions(hub);
    opened.defer(() => sessions.close());
    const eventStreams = routeEventStreams(app, { graph, limits, planner, engine, viewers, refusals, sessions, telemetry, logger });
    opened.defer(() => eventStreams.close());
    const plainEvents = createPlainEvents({ hub, history: events, samples, limits, metrics: subscriptionMetrics(telemetry), formatError: (thrown) => formatError(thrown, logger) });
    const sockets = createSocketServer({ plainEvents, graph, limits, trustProxy, planner, engine, hub, sessions, viewers, refusals, telemetry, allowedOrigins, logger });
    opened.defer(() => sockets.close());
    app.server.on('upgrade', sockets.upgrade);

    await listening(app.listen({ host, port: options.port, backlog: BACKLOG }), options.port, 'NOVACRON_PORT');
    const address = app.server.address();
    const port = typeof address === 'object' && address !== null ? address.port : options.port;
    const redirect = tls && options.redirectPort != null ? await openRedirect({ host, port: options.redirectPort, httpsPort: port, tls }) : null;
    opened.defer(() => redirect?.close());
    const url = `${tls ? 'https' : 'http'}://${host.includes(':') ? `[${host}]` : host}:${port}`;
    return { url, port, redirectPort: redirect?.port ?? null, close: () => opened.disposeAsync() };
  } catch (error) {
    await opened.disposeAsync();
    throw error;
  }
}

function requireSources({ subgraphs }: Supergraph, dataSources: GatewayOptions['dataSources']): void {
  const missing = subgraphs.map(({ name }) => name).filter((name) => name !== EVENTS_SUBGRAPH && dataSources[name] === undefined);
  if (missing.length > 0) throw new InvalidSupergraph(`The gateway has no data source for ${missing.join(', ')}.`);
}
