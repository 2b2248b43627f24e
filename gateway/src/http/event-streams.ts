import type { RequestContext, Viewer } from '@novacron/contracts';
import { DomainError } from '@novacron/core';
import { InvalidDocument, type SubscriptionEngine, type SubscriptionPlanner } from '@novacron/supergraph';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { getOperationAST } from 'graphql';
import Negotiator from 'negotiator';
import type { Logger } from 'pino';
import { formatError } from '../errors.ts';
import type { Graph } from '../graph.ts';
import type { Allowance } from '../rate-limits/allowance.ts';
import type { LimitedContext, RateLimits } from '../rate-limits/rate-limits.ts';
import { subscribeInPlace } from '../rate-limits/subscribe-in-place.ts';
import type { Refusals } from '../refusals.ts';
import { EventStream } from '../subscriptions/event-stream.ts';
import { nowAndThen } from '../subscriptions/now-and-then.ts';
import type { Sessions } from '../subscriptions/sessions.ts';
import type { Telemetry } from '../telemetry.ts';
import { userAgentOf } from '../user-agent.ts';
import type { Authenticated, Viewers } from '../viewers.ts';
import { refuseUnasked } from './cross-site.ts';
import { readBody, readSearch } from './graphql-parameters.ts';
import { GRAPHQL_PATH } from './graphql.ts';
import { ANSWER_TYPES, requireJson } from './media-types.ts';
import { createAdmission } from './request-context.ts';
import { RequestFault } from './request-fault.ts';

const EVENT_STREAM = 'text/event-stream';
/** How often a silent stream shows that it is there: proxies cut what is silent for a minute. */
const KEEP_ALIVE_MS = 12_000;

export interface EventStreamsOptions {
  graph: Graph<LimitedContext>;
  limits: RateLimits;
  planner: SubscriptionPlanner<RequestContext>;
  engine: SubscriptionEngine<Viewer, RequestContext>;
  viewers: Viewers;
  refusals: Refusals;
  sessions: Sessions;
  telemetry: Telemetry;
  logger: Logger;
}

/** Operations at /graphql for whoever would rather have server-sent events. */
export interface EventStreams {
  /** Breaks every stream off: its client comes back, and resumes. */
  close(): void;
}

const wantsEvents = ({ accept }: FastifyRequest['headers']): boolean => new Negotiator({ headers: { accept } }).mediaType([...ANSWER_TYPES, EVENT_STREAM]) === EVENT_STREAM;

export function routeEventStreams(app: FastifyInstance, options: EventStreamsOptions): EventStreams {
  const { graph, limits, planner, engine, viewers, sessions, telemetry, logger } = options;
  const admit = createAdmission(viewers, limits, options.refusals);
  const streams = new Set<EventStream>();

  app.addHook('preHandler', async (request, reply) => {
    if (request.routeOptions.url !== GRAPHQL_PATH || !wantsEvents(request.headers)) return;
    // A token is asked for by the browser, too, before it is sent elsewhere.
    if (request.method === 'GET' && request.headers.authorization === undefined) refuseUnasked(request.headers);
    const parameters = request.method === 'GET' ? readSearch(new URL(request.url, 'http://gateway').searchParams) : (requireJson(request.headers), readBody(request.body));
    const { authenticated, allowance } = await admit(request);
    const place = await limits.holdConnection({ viewer: authenticated?.viewer ?? null, address: request.ip });
    reply.raw.once('close', () => place.release());
    if (reply.raw.destroyed) {
      place.release(); // its client has not waited
      return void reply.hijack();
    }
    const stream = open(request, reply.headers(allowance.fields()), authenticated);
    try {
      if (authenticated !== null && !viewers.isCurrent(authenticated)) return stream.readmit();
      await answer(stream, request, parameters, allowance);
    } catch (thrown) {
      if (thrown instanceof InvalidDocument) {
        stream.next({ errors: thrown.errors.map((error) => formatError(error, logger, request.id)) });
        stream.complete();
      } else stream.fail(thrown);
    }
  });

  function open(request: FastifyRequest, reply: FastifyReply, authenticated: Authenticated | null): EventStream {
    reply.hijack();
    const stream = new EventStream({
      response: reply.raw,
      headers: reply.getHeaders(),
      formatError: (error) => formatError(error, logger, request.id),
      onSlow({ viewer }) {
        telemetry.slowSockets.inc();
        logger.warn({ userId: viewer?.userId }, 'an event stream was cut: its client reads too slowly');
      },
    });
    if (authenticated !== null) stream.signIn(authenticated);
    const letGo = sessions.hold(stream);
    const stopKeepingAlive = nowAndThen(() => stream.keepAlive(), KEEP_ALIVE_MS);
    streams.add(stream);
    telemetry.eventStreams.inc();
    reply.raw.once('close', () => {
      stream.forget();
      stopKeepingAlive();
      letGo();
      streams.delete(stream);
      telemetry.eventStreams.dec();
    });
    return stream;
  }

  /** Resolves when the stream has ended. */
  async function answer(stream: EventStream, request: FastifyRequest, { query, operationName, variables }: ReturnType<typeof readBody>, allowance: Allowance): Promise<void> {
    const { viewer } = stream;
    if (query === null) throw new DomainError('BAD_USER_INPUT', 'Send the whole "query": hashes of persisted queries are not taken here.', { field: 'query' });
    const context: LimitedContext = { viewer, requestId: request.id, address: request.ip, userAgent: userAgentOf(request.headers), allowance };
    const planned = planner.plan(query, operationName, variables, context);
    if ('document' in planned) {
      const isMutation = getOperationAST(planned.document, operationName)?.operation === 'mutation';
      if (isMutation && request.method === 'GET') throw new RequestFault(405, 'A GET only reads: send a mutation by POST.');
      stream.next(await graph.answer({ query, operationName, variables }, context));
      return stream.complete();
    }
    const lastEventId = request.headers['last-event-id'];
    const resume = typeof lastEventId === 'string' && lastEventId !== '' ? { after: lastEventId } : undefined;
    await allowance.spend(planned.points);
    const place = await limits.holdSubscription(viewer);
    if (!stream.isOpen) return place.release();
    const running = subscribeInPlace(place, stream.sink, (sink) => engine.subscribe(planned.subscription, variables, viewer, sink, resume));
    stream.subscription = running;
    telemetry.operations.inc({ type: 'subscription', outcome: 'ok' });
    await running.next();
    stream.complete();
  }

  return {
    close() {
      for (const stream of streams) stream.breakOff();
    },
  };
}
