import type { EventRecord, Viewer } from '@novacron/contracts';
import { DomainError } from '@novacron/core';
import { decodeCursor, type EventHistory, type SampleFeed } from '@novacron/supergraph';
import type { EventHub } from '../events/hub.ts';
import type { Sample } from '../events/samples.ts';
import { STREAMS, type EventStream, type SampleStream } from '../events/streams.ts';
import type { Connection } from '../subscriptions/connection.ts';
import { eventMessage, sampleMessage, TOPICS, type Choice, type Topic } from './messages.ts';

export interface FeedSources {
  hub: EventHub;
  history: EventHistory<EventRecord>;
  samples: SampleFeed<Sample>;
}

/** What feeds a topic: the subscriptions that tell the same to clients of GraphQL. */
const FEEDS: Readonly<Record<Topic, readonly string[]>> = {
  'vm.changed': ['vmChanged'],
  'operation.changed': ['operationChanged'],
  'migration.changed': ['migrationProgress'],
  metrics: ['vmMetrics', 'hostMetrics'],
};

const REPLAYED_AT_ONCE = 500;
/** Bytes unread from which a client gets no samples: a later one says the same better. */
const TOO_FAR_BEHIND_FOR_SAMPLES = 64 * 2 ** 10;

/** What one client hears, from a position on: as a subscription of its connection. */
export interface Feed {
  /** Its client has been told everything up to here. */
  readonly settled: number;
  /** Tells what happened since, then what happens. Rejects when that can't be: CURSOR_EXPIRED, UNAVAILABLE. */
  run(): Promise<void>;
  return(): Promise<{ done: true; value: undefined }>;
}

/** A feed that has not begun; `onEnd` is told once. UNAUTHENTICATED, FORBIDDEN, BAD_USER_INPUT (after). */
export function createFeed({ hub, history, samples }: FeedSources, connection: Connection, choice: Choice, onEnd: () => void): Feed {
  const { viewer } = connection;
  const streams = admittedStreams(viewer, choice.events ?? null);
  const ids = choice.ids == null ? null : new Set(choice.ids.map((id) => id.toLowerCase()));
  const listed = ids === null ? null : [...ids];
  const events = streams.filter((stream) => stream.source === 'events');
  const stops: (() => void)[] = [];
  let floor = choice.after == null ? hub.position : decodeCursor(choice.after);
  let isLive = false;
  let isOver = false;

  const shows = (stream: EventStream, event: EventRecord): boolean => viewer !== null && stream.shows(event, {}, viewer);
  const isWanted = (event: EventRecord): boolean =>
    (ids === null || ids.has(event.entityId)) && events.some((stream) => event.type.startsWith(`${stream.noun}.`) && shows(stream, event));

  /** Nothing is awaited between the end of this and listening, so nothing falls between the two. */
  async function replay(): Promise<void> {
    if (floor > hub.position && floor > (await history.head())) {
      throw new DomainError('CURSOR_EXPIRED', 'This cursor is not of the present event log: read again, and subscribe without it.', { field: 'after' });
    }
    while (floor < hub.position) {
      const batch = await history.read(floor, REPLAYED_AT_ONCE);
      if (batch.length === 0) throw new DomainError('UNAVAILABLE', 'The event log is not complete yet: try again.');
      for (const event of batch) {
        if (isWanted(event)) await connection.sendPatiently(eventMessage(event));
        if (isOver) return;
        floor = event.position;
      }
    }
  }

  function listen(): void {
    isLive = true;
    for (const stream of events) {
      stops.push(hub.listen(stream.noun, listed, (event) => event.position > floor && shows(stream, event) && connection.send(eventMessage(event))));
    }
  }

  async function sample(stream: SampleStream): Promise<void> {
    const isShown = (one: Sample): boolean => viewer !== null && stream.shows(one, {}, viewer);
    const first = samples.latest(stream.kind, listed).filter(isShown);
    /** Those that have been sampled again before their first sample was sent. */
    let newer: Set<string> | null = new Set();
    stops.push(
      samples.listen(stream.kind, listed, (one) => {
        if (!isShown(one) || connection.socket.bufferedAmount > TOO_FAR_BEHIND_FOR_SAMPLES) return;
        newer?.add(one.id);
        connection.send(sampleMessage(one, hub.position));
      }),
    );
    for (const one of first) {
      if (isOver) return;
      if (!newer.has(one.id)) await connection.sendPatiently(sampleMessage(one, hub.position));
    }
    newer = null;
  }

  return {
    get settled() {
      return isLive ? Math.max(floor, hub.position) : floor;
    },
    async run() {
      await replay();
      if (isOver) return;
      listen();
      for (const stream of streams) if (stream.source === 'samples' && !isOver) await sample(stream);
    },
    async return() {
      if (!isOver) onEnd();
      isOver = true;
      for (const stop of stops.splice(0)) stop();
      return { done: true, value: undefined };
    },
  };
}

/** Those that were asked for, or all that the viewer may have; of metrics it has those that it may. */
function admittedStreams(viewer: Viewer | null, topics: readonly Topic[] | null): (EventStream | SampleStream)[] {
  return (topics ?? TOPICS).flatMap((topic) => {
    const streams = FEEDS[topic].map((field) => STREAMS[field]).filter((stream) => stream !== undefined);
    const refusals: unknown[] = [];
    const admitted = streams.filter((stream) => {
      try {
        return stream.admit(viewer);
      } catch (refusal) {
        refusals.push(refusal);
        return false;
      }
    });
    if (topics !== null && admitted.length === 0) throw refusals[0];
    return admitted;
  });
}
