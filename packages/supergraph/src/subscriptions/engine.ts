import { DomainError } from '@novacron/core';
import { canonicalJson } from './canonical-json.ts';
import { decodeCursor } from './cursor.ts';
import { createEventGroup } from './event-group.ts';
import type { EventHistory, EventHub, LoggedEvent, Measured, SampleFeed } from './feed.ts';
import type { Group, GroupSubject, Member, Message } from './group.ts';
import type { SubscriptionMetrics } from './metrics.ts';
import { InvalidDocument } from './document.ts';
import type { PlannedSubscription, SubscriptionPlanner, Variables } from './plan.ts';
import { createSampleGroup } from './sample-group.ts';
import type { Streams } from './stream.ts';

/** Where a subscription's messages go. */
export interface Sink {
  send(message: Message): void;
  /** Resolves once it is on its way, or never will be. */
  sendPatiently(message: Message): Promise<void>;
  /** The subscription has ended, for whatever reason. */
  ended(): void;
}

/** A running subscription, as graphql-ws drives it: it yields nothing, since messages go to the sink; it ends. */
export interface RunningSubscription extends AsyncIterableIterator<never, undefined> {
  /** Its client has been told everything up to here. */
  readonly settled: number;
  return(): Promise<IteratorReturnResult<undefined>>;
}

export interface SubscriptionEngine<Viewer, Context> {
  /**
   * Prepares a subscription; it begins when it is first iterated. Throws what forbids it: UNAUTHENTICATED, FORBIDDEN,
   * BAD_USER_INPUT. While it runs it may fail with CURSOR_EXPIRED or UNAVAILABLE.
   */
  subscribe(subscription: PlannedSubscription<Context>, variables: Variables, viewer: Viewer | null, sink: Sink, resume?: Resume): RunningSubscription;
  /**
   * Goes on by another graph: each group is planned again, and its members stay. Whoever subscribes to what is not there any more is
   * told so.
   */
  replan(planner: SubscriptionPlanner<Context>): void;
}

/** Where a client comes back to, said beside the operation: Last-Event-ID. It counts before the argument `after`. */
export interface Resume {
  after: string | null;
}

export interface EngineOptions<Event extends LoggedEvent, Sample extends Measured, Viewer, Context> {
  hub: EventHub<Event>;
  history: EventHistory<Event>;
  samples: SampleFeed<Sample>;
  streams: Streams<Event, Sample, Viewer>;
  /** A context for one execution on the viewer's behalf. */
  contextOf(viewer: Viewer): Context;
  /** JSON that is equal for viewers whom these subgraphs, and the streams, answer alike. */
  rightsOf(viewer: Viewer, services: ReadonlySet<string>): unknown;
  metrics: SubscriptionMetrics;
}

/** Holds one group for all subscriptions that get the same messages, as long as there is one. */
export function createSubscriptionEngine<Event extends LoggedEvent, Sample extends Measured, Viewer, Context>(
  options: EngineOptions<Event, Sample, Viewer, Context>,
): SubscriptionEngine<Viewer, Context> {
  const { hub, history, samples, streams, contextOf, rightsOf, metrics } = options;
  const groups = new Map<string, { group: Group; subject: GroupSubject<Viewer, Context>; holders: number }>();

  function hold(key: string, subject: GroupSubject<Viewer, Context>): Group {
    const known = groups.get(key);
    if (known !== undefined) {
      known.holders += 1;
      return known.group;
    }
    const stream = streams[subject.subscription.field];
    if (stream === undefined) throw new DomainError('INTERNAL', `Nothing feeds ${subject.subscription.field}.`);
    const group =
      stream.source === 'events'
        ? createEventGroup({ subject, stream, hub, history, metrics })
        : createSampleGroup({ subject, stream, samples, hub });
    groups.set(key, { group, subject, holders: 1 });
    return group;
  }

  function release(key: string): void {
    const held = groups.get(key);
    if (held === undefined) return;
    held.holders -= 1;
    if (held.holders > 0) return;
    groups.delete(key);
    held.group.close();
  }

  /** Equal for subscriptions that get the same messages: same operation, same variables, same rights. */
  function groupKey({ key, cursorVariable, services }: PlannedSubscription<Context>, variables: Variables, viewer: Viewer): string {
    const relevant = Object.fromEntries(Object.entries(variables).filter(([name]) => name !== cursorVariable));
    return canonicalJson([key, relevant, rightsOf(viewer, services)]);
  }

  /** The same subscription by another graph, for the same members; throws why it can't go on. */
  function planAgain({ subscription, variables, viewer }: GroupSubject<Viewer, Context>, key: string, planner: SubscriptionPlanner<Context>): PlannedSubscription<Context> {
    const planned = planner.plan(subscription.query, subscription.operationName, variables, contextOf(viewer));
    if ('subscription' in planned && groupKey(planned.subscription, variables, viewer) === key) return planned.subscription;
    throw new DomainError('UNAVAILABLE', 'The graph has changed: subscribe again, after the last cursor.');
  }

  return {
    replan(planner) {
      for (const [key, { group, subject }] of [...groups]) {
        try {
          subject.subscription = planAgain(subject, key, planner);
        } catch (error) {
          group.fail(error instanceof InvalidDocument ? error.errors[0] : error);
        }
      }
    },
    subscribe(subscription, variables, stranger, sink, resume) {
      const { field } = subscription;
      const stream = streams[field];
      if (stream === undefined) throw new DomainError('INTERNAL', `Nothing feeds ${field}.`);
      const viewer = stream.admit(stranger);
      const args = subscription.argumentsOf(variables);
      stream.ids(args); // may refuse: now, and not when it begins
      const cursor = resume?.after ?? args['after'];
      const after = cursor == null ? null : decodeCursor(String(cursor));
      const key = groupKey(subscription, variables, viewer);

      const end = Promise.withResolvers<IteratorReturnResult<undefined>>();
      end.promise.catch(() => {}); // seen by whoever iterates, if anyone still does
      let group: Group | null = null;
      let ended = false;
      let live = false;

      function finish(settle: () => void): void {
        if (ended) return;
        ended = true;
        if (group !== null) {
          group.detach(member);
          release(key);
          metrics.ended(field);
        }
        sink.ended();
        settle();
      }
      const count = () => metrics.delivered(field);
      const member: Member = {
        floor: hub.position,
        get ended() {
          return ended;
        },
        send(message) {
          count();
          sink.send(message);
        },
        async sendPatiently(message) {
          if (ended) return;
          count();
          await sink.sendPatiently(message);
        },
        fail: (error) => finish(() => end.reject(error)),
      };

      return {
        get settled() {
          return live && group !== null ? Math.max(member.floor, group.settled) : member.floor;
        },
        [Symbol.asyncIterator]() {
          return this;
        },
        next() {
          if (group === null && !ended) {
            group = hold(key, { subscription, variables, args, viewer, contextOf });
            metrics.began(field);
            group.attach(member, after).then(() => (live = true), member.fail);
          }
          return end.promise;
        },
        async return() {
          const done = { done: true, value: undefined } as const;
          finish(() => end.resolve(done));
          return done;
        },
      };
    },
  };
}
