/** What feeds subscriptions: a log in one order for all that happened, and the latest samples of what is measured. */

/** One thing that happened. */
export interface LoggedEvent {
  /** Its place in the one order of all events. */
  readonly position: number;
  /** Noun and past tense: "host.changed". */
  readonly type: string;
  readonly entityId: string;
  /** When it was committed, ISO 8601. */
  readonly at: string;
}

/** The noun of an event's type: "host" of "host.changed". */
export type NounOf<Event extends LoggedEvent> = Event['type'] extends infer Type ? (Type extends `${infer Noun}.${string}` ? Noun : never) : never;

/** Events as they were kept. */
export interface EventHistory<Event extends LoggedEvent> {
  /** The position of the last event. */
  head(): Promise<number>;
  /** The next events after a position, in order; CURSOR_EXPIRED when they are not kept any more. */
  read(after: number, limit: number): Promise<Event[]>;
}

/** Events as they happen. */
export interface EventHub<Event extends LoggedEvent> {
  /** The last event that was handed over; whoever starts to listen now gets all that follow. */
  readonly position: number;
  /** Listens to all events of a noun, or to those of some objects. Returns how to stop. */
  listen(noun: NounOf<Event>, ids: readonly string[] | null, listener: (event: Event) => void): () => void;
}

/** What was measured of one object. */
export interface Measured {
  readonly kind: string;
  readonly id: string;
}

/** Samples as they are taken: only the latest of each object counts. */
export interface SampleFeed<Sample extends Measured> {
  /** The latest samples of some objects, or of all. */
  latest(kind: Sample['kind'], ids: readonly string[] | null): Sample[];
  listen(kind: Sample['kind'], ids: readonly string[] | null, listener: (sample: Sample) => void): () => void;
}
