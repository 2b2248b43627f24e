import { DomainError } from '@novacron/core';
import { canonicalJson } from './canonical-json.ts';
import { decodeCursor } from './cursor.ts';
import { createEventGroup } from './event-group.ts';
import type { EventHistory, EventHub, LoggedEvent, Measured, SampleFeed } from './feed.ts';
import type { GroupSubject } from './group.ts';
import type { SubscriptionMetrics } from './metrics.ts';
import { InvalidDocument } from './document.ts';
import type { PlannedSubscription, SubscriptionPlanner, Variables } from './plan.ts';
import { createSampleGroup } from './sample-group.ts';
import type { Streams } from './stream.ts';
import { Subscription, type HeldGroup, type RunningSubscription, type Sink } from './subscription.ts';

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
  const groups = new Map<string, HeldGroup & { subject: GroupSubject<Viewer, Context>; holders: number }>();

  function hold(key: string, subject: GroupSubject<Viewer, Context>): HeldGroup {
    const known = groups.get(key);
    if (known !== undefined) {
      known.holders += 1;
      return known;
    }
    const stream = streams[subject.subscription.field];
    if (stream === undefined) throw new DomainError('INTERNAL', `Nothing feeds ${subject.subscription.field}.`);
    const group =
      stream.source === 'events'
        ? createEventGroup({ subject, stream, hub, history, metrics })
        : createSampleGroup({ subject, stream, samples, hub });
    const held = {
      group,
      subject,
      holders: 1,
      release(): void {
        held.holders -= 1;
        if (held.holders > 0) return;
        groups.delete(key);
        group.close();
      },
    };
    groups.set(key, held);
    return held;
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

      const beginning = { hold: () => hold(key, { subscription, variables, args, viewer, contextOf }), after };
      return new Subscription({ position: hub.position, field, sink, metrics, beginning });
    },
  };
}
