import { encodeCursor } from './cursor.ts';
import type { PlannedSubscription, Variables } from './plan.ts';
import type { StreamArguments } from './stream.ts';

/** One message for all members of a group: the payload as it goes over the wire. */
export interface Message {
  position: number;
  payload: string;
}

/** One subscription of one socket. */
export interface Member {
  /** It has, or does not want, what happened up to this position. */
  floor: number;
  readonly ended: boolean;
  /** Hands a message to the socket at once; a socket that can't keep up is cut. */
  send(message: Message): void;
  /** Hands a message to the socket and waits until it is on its way: for a replay, which can wait. */
  sendPatiently(message: Message): Promise<void>;
  /** Ends the subscription with an error. */
  fail(error: unknown): void;
}

/** Subscriptions that get the same messages: what is said is found out and written down once. */
export interface Group {
  /** Gives a member what it is owed, then all that follows. Resolves once it is live; rejects when that can't be. */
  attach(member: Member, after: number | null): Promise<void>;
  detach(member: Member): void;
  /** Ends it for all its members. */
  fail(error: unknown): void;
  /** Up to where its live members have been told everything. */
  readonly settled: number;
  close(): void;
}

/** What distinguishes one group from another. */
export interface GroupSubject<Viewer, Context> {
  subscription: PlannedSubscription<Context>;
  variables: Variables;
  args: StreamArguments;
  /** Any one member's: all of them have the same rights. */
  viewer: Viewer;
  /** A context for one execution on the viewer's behalf. */
  contextOf(viewer: Viewer): Context;
}

/** Runs the subscription for one value and writes the result down, with the cursor that every message carries. */
export async function render<Viewer, Context>({ subscription, variables, viewer, contextOf }: GroupSubject<Viewer, Context>, value: object, position: number): Promise<Message> {
  const { extensions, ...result } = await subscription.run(value, variables, contextOf(viewer));
  return { position, payload: JSON.stringify({ ...result, extensions: { ...extensions, cursor: encodeCursor(position) } }) };
}

/** A group answers this many events side by side, so that a slow subgraph delays messages and does not queue them up. */
export const RENDERED_AT_ONCE = 8;
