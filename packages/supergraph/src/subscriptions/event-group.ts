import { DomainError } from '@novacron/core';
import type { EventHistory, EventHub, LoggedEvent } from './feed.ts';
import { render, RENDERED_AT_ONCE, type Group, type GroupSubject, type Member, type Message } from './group.ts';
import type { SubscriptionMetrics } from './metrics.ts';
import { OrderedPipeline } from './pipeline.ts';
import type { EventStreamOf } from './stream.ts';

/** Events that a group may be behind; beyond, its members are told to come back and replay from the log instead. */
const BACKLOG = 1_000;
const REPLAYED_AT_ONCE = 500;

export interface EventGroupOptions<Event extends LoggedEvent, Viewer, Context> {
  subject: GroupSubject<Viewer, Context>;
  stream: EventStreamOf<Event, Viewer>;
  hub: EventHub<Event>;
  history: EventHistory<Event>;
  metrics: SubscriptionMetrics;
}

/** A group fed by the event log: each event that its viewer may see, in order, none twice and none left out. */
export function createEventGroup<Event extends LoggedEvent, Viewer, Context>({ subject, stream, hub, history, metrics }: EventGroupOptions<Event, Viewer, Context>): Group {
  const { args, viewer } = subject;
  const members = new Set<Member>();
  const ids = stream.ids(args);
  const wanted = ids === null ? null : new Set(ids);
  let told = hub.position;

  const answer = (event: Event): Promise<Message> => render(subject, stream.value(event), event.position);
  const isWanted = (event: Event): boolean =>
    event.type.startsWith(`${stream.noun}.`) && (wanted === null || wanted.has(event.entityId)) && stream.shows(event, args, viewer);

  const pipeline = new OrderedPipeline<Event, Message>(
    answer,
    (message, event) => {
      told = event.position;
      metrics.handedOver(Math.max(0, Date.now() - Date.parse(event.at)));
      for (const member of members) if (message.position > member.floor) member.send(message);
    },
    { concurrency: RENDERED_AT_ONCE, capacity: BACKLOG },
  );

  const stop = hub.listen(stream.noun, ids, (event) => {
    if (members.size === 0 || !isWanted(event) || pipeline.push(event)) return;
    fail(new DomainError('UNAVAILABLE', 'This subscription can\'t keep up with what happens: resume after the last cursor.'));
  });
  const fail = (error: unknown): void => {
    for (const member of [...members]) member.fail(error);
  };

  return {
    async attach(member, after) {
      member.floor = after ?? hub.position;
      if (member.floor > hub.position && member.floor > (await history.head())) {
        throw new DomainError('CURSOR_EXPIRED', 'This cursor is not of the present event log: read again, and subscribe without it.', { field: 'after' });
      }
      while (member.floor < hub.position) {
        const events = await history.read(member.floor, REPLAYED_AT_ONCE);
        if (events.length === 0) throw new DomainError('UNAVAILABLE', 'The event log is not complete yet: try again.');
        for (const event of events) {
          if (isWanted(event)) await member.sendPatiently(await answer(event));
          if (member.ended) return;
          member.floor = event.position;
        }
      }
      // Nothing was awaited since the comparison, so what the hub hands over next finds the member here.
      if (!member.ended) members.add(member);
    },
    detach: (member) => void members.delete(member),
    fail,
    get settled() {
      return pipeline.pending === 0 ? hub.position : told;
    },
    close: stop,
  };
}
