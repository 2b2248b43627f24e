import type { EventRecord } from '@novacron/contracts';
import { DomainError } from '@novacron/core';
import { encodeCursor } from '@novacron/supergraph';
import { z } from 'zod';
import type { Sample } from '../events/samples.ts';
import { IDS_AT_MOST } from '../events/streams.ts';

/** What a client may hear of; "metrics" are samples of VMs and of hosts. */
export const TOPICS = ['vm.changed', 'operation.changed', 'migration.changed', 'metrics'] as const;
export type Topic = (typeof TOPICS)[number];

const choice = {
  events: z.array(z.enum(TOPICS)).nullish(),
  ids: z.array(z.string().max(64)).max(IDS_AT_MOST).nullish(),
  after: z.string().max(64).nullish(),
};

const clientMessage = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('auth'), token: z.string(), ...choice }),
  z.strictObject({ type: z.literal('subscribe'), ...choice }),
]);

export type ClientMessage = z.infer<typeof clientMessage>;

/** What a client wants to hear, and from where on. All of it is optional. */
export type Choice = Pick<ClientMessage, keyof typeof choice>;

/** Text from a client; BAD_USER_INPUT for what is none of its messages. */
export function parseMessage(text: string): ClientMessage {
  const parsed = clientMessage.safeParse(parseJson(text));
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new DomainError('BAD_USER_INPUT', issue?.message ?? 'This is no message.', { field: issue?.path.join('.') ?? '' });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // no message either
  }
}

/** One text for all clients that hear of an event. */
const written = new WeakMap<EventRecord, string>();

/** `type` is the noun's topic; `event` says what happened, such as vm.created. */
export function eventMessage(event: EventRecord): string {
  const known = written.get(event);
  if (known !== undefined) return known;
  const [noun = ''] = event.type.split('.');
  const { type, entityId: id, after } = event;
  const text = JSON.stringify({ type: `${noun}.changed`, cursor: encodeCursor(event.position), at: new Date(event.at).toISOString(), event: type, [noun]: { id, ...after } });
  written.set(event, text);
  return text;
}

/** `position`: up to where the client has heard of events. */
export const sampleMessage = ({ kind, value }: Sample, position: number): string => JSON.stringify({ type: 'metrics', cursor: encodeCursor(position), kind, [kind]: value });
