import type { Codec } from './codec.ts';
import { int, struct } from './codec.ts';
import type { XdrReader } from './xdr.ts';

/** The kinds of objects of which a daemon tells. */
export type EventSource = 'domain' | 'network' | 'pool';

/** How one kind of event is asked for and read. */
export interface EventRow<E> {
  readonly source: EventSource;
  /** virConnectDomainEventID, virNetworkEventID or virStoragePoolEventID. */
  readonly eventId: number;
  /** The number of the message that carries it (REMOTE_PROC_*_EVENT_*). */
  readonly message: number;
  read(reader: XdrReader): { callbackId: number; event: E };
}

/** A row of a table of events: what they are about, what else they carry, and how that is told. */
export function eventRow<Ref, Fields extends object, E>(
  row: { source: EventSource; eventId: number; message: number; about: Codec<Ref> },
  fields: { readonly [Name in keyof Fields]: Codec<Fields[Name]> },
  describe: (about: Ref, fields: Fields) => E,
): EventRow<E> {
  const { about, ...ids } = row;
  const head = struct<{ callbackId: number; about: Ref }>({ callbackId: int, about });
  const rest = struct<Fields>(fields);
  return {
    ...ids,
    read(reader) {
      const { callbackId, about: ref } = head.read(reader);
      return { callbackId, event: describe(ref, rest.read(reader)) };
    },
  };
}
