import { DomainError, newId } from '@novacron/core';
import type { RequestContext, Viewer } from '@novacron/contracts';
import { encodeCursor, InvalidDocument, type RunningSubscription, type SubscriptionEngine, type SubscriptionPlanner } from '@novacron/supergraph';
import { GraphQLError, type DocumentNode, type ExecutionArgs, type FormattedExecutionResult } from 'graphql';
import type { OperationResult, ServerOptions, SubscribePayload } from 'graphql-ws';
import type { Logger } from 'pino';
import { formatError } from '../errors.ts';
import type { EventHub } from '../events/hub.ts';
import type { Graph } from '../graph.ts';
import type { LimitedContext, RateLimits } from '../rate-limits/rate-limits.ts';
import { subscribeInPlace } from '../rate-limits/subscribe-in-place.ts';
import type { Telemetry } from '../telemetry.ts';
import { CLOSE, type Connection } from './connection.ts';

/** What a ping may carry, as JSON: it is sent back. */
const PING_LIMIT = 2 ** 10;

export interface ProtocolOptions {
  graph: Graph<LimitedContext>;
  limits: RateLimits;
  planner: SubscriptionPlanner<RequestContext>;
  engine: SubscriptionEngine<Viewer, RequestContext>;
  hub: EventHub;
  telemetry: Telemetry;
  logger: Logger;
  /** Signs the connection in; false when it has been closed instead. */
  authenticate(connection: Connection, accessToken: string): Promise<boolean>;
}

interface Extra {
  connection: Connection;
}

type Started = RunningSubscription | Promise<FormattedExecutionResult>;

/** What graphql-ws runs, whether it calls it `subscribe` or `execute`: it finds out itself if it can be iterated. */
const start = (args: ExecutionArgs) => (args.contextValue as () => Started)() as OperationResult; // see onSubscribe

/** Here and not where it is used: graphql-ws keeps it as long as the subscription runs, and with it all that stands around it. */
const giving = (running: RunningSubscription) => () => running;

/** How graphql-ws serves a connection: it keeps the protocol, the engine and the graph do the work. */
export function createProtocol(options: ProtocolOptions): ServerOptions<Record<string, unknown>, Extra> {
  const { graph, limits, planner, engine, hub, telemetry, logger } = options;

  const requireOpen = ({ isOpen }: Connection): void => {
    if (!isOpen) throw new DomainError('UNAUTHENTICATED', 'This connection is closed.');
  };

  async function prepare(connection: Connection, id: string, payload: SubscribePayload): Promise<{ document: DocumentNode; start: () => Started }> {
    const allowance = limits.allowanceOf(connection);
    await allowance.admit();
    requireOpen(connection);
    const { query, operationName, variables } = payload;
    const { viewer, address, userAgent } = connection;
    const context: LimitedContext = { viewer, requestId: newId(), address, userAgent, allowance };
    const planned = planner.plan(query, operationName ?? null, variables ?? {}, context);
    if ('document' in planned) {
      const request = { query, ...(operationName == null ? {} : { operationName }), variables: variables ?? {} };
      return { document: planned.document, start: () => graph.answer(request, context) };
    }
    const { subscription, points } = planned;
    await allowance.spend(points);
    const place = await limits.holdSubscription(viewer);
    if (!connection.isOpen) place.release();
    requireOpen(connection);
    const running = subscribeInPlace(place, connection.sink(id), (sink) => engine.subscribe(subscription, variables ?? {}, viewer, sink));
    connection.subscriptions.set(id, running);
    telemetry.operations.inc({ type: 'subscription', outcome: 'ok' });
    return { document: subscription.document, start: giving(running) };
  }

  return {
    async onConnect({ connectionParams, extra: { connection } }) {
      const authorization = connectionParams?.['authorization'];
      if (authorization !== undefined && authorization !== null) {
        const token = typeof authorization === 'string' ? /^Bearer\s+(\S+)$/i.exec(authorization)?.[1] : undefined;
        if (!(await options.authenticate(connection, token ?? ''))) return false;
      }
      // Where a client resumes that is cut before its first message.
      return { cursor: encodeCursor(hub.position) };
    },
    onPing({ extra: { connection } }, payload) {
      if (payload === undefined || JSON.stringify(payload).length <= PING_LIMIT) return;
      connection.close(CLOSE.badRequest, 'A ping carries at most 1 kB'); // and the pong goes nowhere
    },
    async onSubscribe({ extra: { connection } }, id, payload) {
      const { underWay } = connection;
      // graphql-ws knows no more of what was completed, and would take its end for the end of the second one.
      if (underWay.has(id)) {
        connection.close(CLOSE.alreadyExists, `Subscriber for ${id} already exists`);
        return [new GraphQLError('This id is in use.')]; // which goes nowhere
      }
      underWay.add(id);
      try {
        limits.checkConnection(underWay.size);
        const { document, start: contextValue } = await prepare(connection, id, payload);
        return { schema: planner.apiSchema, document, operationName: payload.operationName ?? null, contextValue };
      } catch (thrown) {
        underWay.delete(id); // onComplete comes after what has begun only
        telemetry.operations.inc({ type: 'subscription', outcome: 'error' });
        return toGraphQLErrors(thrown);
      }
    },
    onComplete: ({ extra: { connection } }, id) => void connection.underWay.delete(id),
    subscribe: start,
    execute: start,
    // Formatted already: graphql-ws would call toJSON on each error.
    onNext: (_context, _id, _payload, _args, result) => result as FormattedExecutionResult,
    onError: (_context, _id, _payload, errors) => errors.map((error) => formatError(error, logger)),
  };
}

/** graphql-ws takes nothing but GraphQLErrors; what they say is decided by formatError. */
function toGraphQLErrors(thrown: unknown): GraphQLError[] {
  if (thrown instanceof InvalidDocument) return [...thrown.errors];
  if (thrown instanceof GraphQLError) return [thrown];
  const originalError = thrown instanceof Error ? thrown : new Error(String(thrown));
  return [new GraphQLError(originalError.message, { originalError })];
}
