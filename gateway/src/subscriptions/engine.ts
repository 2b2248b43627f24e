import { DomainError } from '@novacron/core';
import type { RequestContext } from '@novacron/contracts';
import type { EventLog } from '@novacron/events';
import { decodeCursor } from '../events/cursor.ts';
import type { EventHub } from '../events/hub.ts';
import type { SampleFeed } from '../events/samples.ts';
import { requireStream, STREAMS } from '../events/streams.ts';
import type { Telemetry } from '../telemetry.ts';
import { createEventGroup } from './event-group.ts';
import type { Group, GroupSubject, Member, Message } from './group.ts';
import type { PlannedSubscription, Variables } from './plan.ts';
import { createSampleGroup } from './sample-group.ts';
import { groupKey } from './scope.ts';

/** Where a subscription's messages go. */
export interface Sink {
  send(payload: string): void;
  sendPatiently(payload: string): Promise<void>;
  /** The subscription has ended, for whatever reason. */
  ended(): void;
}

/** A running subscription, as graphql-ws drives it: it yields nothing, since messages go to the sink; it ends. */
export interface RunningSubscription extends AsyncIterableIterator<never, undefined> {
  /** Its client has been told everything up to here. */
  readonly settled: number;
  return(): Promise<IteratorReturnResult<undefined>>;
}

export interface SubscriptionEngine {
  /**
   * Prepares a subscription; it begins when it is first iterated. Throws what forbids it: UNAUTHENTICATED, FORBIDDEN,
   * BAD_USER_INPUT. While it runs it may fail with CURSOR_EXPIRED or UNAVAILABLE.
   */
  subscribe(subscription: PlannedSubscription, variables: Variables, context: RequestContext, sink: Sink): RunningSubscription;
}

export interface EngineOptions {
  hub: EventHub;
  log: EventLog;
  samples: SampleFeed;
  telemetry: Telemetry;
}

/** Holds one group for all subscriptions that get the same messages, as long as there is one. */
export function createSubscriptionEngine({ hub, log, samples, telemetry }: EngineOptions): SubscriptionEngine {
  const groups = new Map<string, { group: Group; holders: number }>();

  function hold(key: string, subject: GroupSubject): Group {
    const known = groups.get(key);
    if (known !== undefined) {
      known.holders += 1;
      return known.group;
    }
    const stream = STREAMS[subject.subscription.field];
    if (stream === undefined) throw new DomainError('INTERNAL', `Nothing feeds ${subject.subscription.field}.`);
    const group =
      stream.source === 'events'
        ? createEventGroup({ subject, stream, hub, log, telemetry })
        : createSampleGroup({ subject, stream, samples, hub });
    groups.set(key, { group, holders: 1 });
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

  return {
    subscribe(subscription, variables, context, sink) {
      const { field } = subscription;
      const stream = STREAMS[field];
      if (stream === undefined) throw new DomainError('INTERNAL', `Nothing feeds ${field}.`);
      const viewer = requireStream(stream, context.viewer);
      const args = subscription.argumentsOf(variables);
      const after = args['after'] == null ? null : decodeCursor(String(args['after']));
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
          telemetry.subscriptions.dec({ field });
        }
        sink.ended();
        settle();
      }
      const count = () => telemetry.delivered.inc({ field });
      const member: Member = {
        floor: hub.position,
        get ended() {
          return ended;
        },
        send({ payload }: Message) {
          count();
          sink.send(payload);
        },
        async sendPatiently({ payload }: Message) {
          if (ended) return;
          count();
          await sink.sendPatiently(payload);
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
            group = hold(key, { subscription, variables, args, viewer });
            telemetry.subscriptions.inc({ field });
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
