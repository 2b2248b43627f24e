import type { LoggedEvent, Measured, NounOf } from './feed.ts';

/** What graphql-js made of a subscription field's arguments. */
export type StreamArguments = Readonly<Record<string, unknown>>;

interface StreamOf<Item, Viewer> {
  /** Throws for who may subscribe to nothing of this kind: UNAUTHENTICATED, FORBIDDEN. */
  admit(viewer: Viewer | null): Viewer;
  /** The objects asked for; null for all. BAD_USER_INPUT for more than may be asked for. */
  ids(args: StreamArguments): readonly string[] | null;
  /** Whether this viewer is to hear of it. */
  shows(item: Item, args: StreamArguments, viewer: Viewer): boolean;
  /** The value of the subscription field, before the schema coerces it. */
  value(item: Item): object;
}

/** Fed by the event log: every one counts, in order, with a cursor. */
export interface EventStreamOf<Event extends LoggedEvent, Viewer> extends StreamOf<Event, Viewer> {
  readonly source: 'events';
  readonly noun: NounOf<Event>;
}

/** Fed by samples: only the latest of each object counts. */
export interface SampleStreamOf<Sample extends Measured, Viewer> extends StreamOf<Sample, Viewer> {
  readonly source: 'samples';
  readonly kind: Sample['kind'];
}

/** What feeds each field of Subscription, by its name. */
export type Streams<Event extends LoggedEvent, Sample extends Measured, Viewer> = Readonly<
  Record<string, EventStreamOf<Event, Viewer> | SampleStreamOf<Sample, Viewer>>
>;
