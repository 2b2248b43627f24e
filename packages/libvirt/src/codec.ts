import { InvalidRequest, ProtocolError } from './errors.ts';
import { LIMIT } from './limits.ts';
import type { XdrReader, XdrWriter } from './xdr.ts';

/** How one type of the protocol is read and written. Codecs are values: structures are built out of smaller ones. */
export interface Codec<T> {
  /** The fewest bytes that a value can take: it bounds what a count may promise. */
  readonly minBytes: number;
  read(reader: XdrReader): T;
  write(writer: XdrWriter, value: T): void;
}

/** int: 32 bits. */
export const int: Codec<number> = { minBytes: 4, read: (r) => r.int(), write: (w, v) => w.int(v) };

/** unsigned int: 32 bits; also what enums, char and short become on the wire (RFC 4506). */
export const uint: Codec<number> = { minBytes: 4, read: (r) => r.uint(), write: (w, v) => w.uint(v) };

/** unsigned hyper: 64 bits. Counters that may pass 2^53 stay bigint. */
export const uhyper: Codec<bigint> = { minBytes: 8, read: (r) => r.uhyper(), write: (w, v) => w.uhyper(v) };

/** An unsigned hyper that is a number here, because what it counts stays below 2^53: KiB, bytes of memory, a version. */
export const safeUhyper: Codec<number> = {
  minBytes: 8,
  read(reader) {
    const value = reader.uhyper();
    if (value > Number.MAX_SAFE_INTEGER) throw new ProtocolError(`${value} is beyond what this field can mean.`);
    return Number(value);
  },
  write: (w, v) => w.uhyper(wholeNumber(v)),
};

/** hyper that is a number here, because what it counts stays within 2^53: seconds, bytes of a stream. */
export const safeHyper: Codec<number> = {
  minBytes: 8,
  read(reader) {
    const value = Number(reader.hyper());
    if (!Number.isSafeInteger(value)) throw new ProtocolError(`${value} is beyond what this field can mean.`);
    return value;
  },
  write: (w, v) => w.hyper(wholeNumber(v)),
};

/** An int that means yes (not 0) or no. */
export const boolean: Codec<boolean> = { minBytes: 4, read: (r) => r.int() !== 0, write: (w, v) => w.int(v ? 1 : 0) };

/** opaque<max>: counted bytes; a copy, not a view into the message. */
export function bytes(max: number): Codec<Uint8Array> {
  return {
    minBytes: 4,
    read(reader) {
      const length = reader.uint();
      if (length > max) throw new ProtocolError(`${length} bytes are over the limit of ${max}.`);
      return Uint8Array.from(reader.opaque(length));
    },
    write(writer, value) {
      if (value.length > max) throw new InvalidRequest(`${value.length} bytes are over the limit of ${max}.`);
      writer.uint(value.length);
      writer.opaque(value);
    },
  };
}

/** remote_nonnull_string. */
export const string: Codec<string> = {
  minBytes: 4,
  read: (r) => r.string(LIMIT.stringBytes),
  write: (w, v) => w.string(v, LIMIT.stringBytes),
};

/** No bytes at all: a procedure without arguments, or without a result. */
export const nothing: Codec<void> = { minBytes: 0, read: () => undefined, write: () => undefined };

/** A value that may be absent (in the .x files: a pointer). */
export function optional<T>(codec: Codec<T>): Codec<T | null> {
  return {
    minBytes: 4,
    read(reader) {
      const present = reader.uint();
      if (present > 1) throw new ProtocolError(`An optional value is marked ${present}; only 0 and 1 are possible.`);
      return present === 1 ? codec.read(reader) : null;
    },
    write(writer, value) {
      writer.uint(value === null ? 0 : 1);
      if (value !== null) codec.write(writer, value);
    },
  };
}

/** A counted list of at most `max`. A count that the rest of the message cannot hold is refused before anything is allocated. */
export function list<T>(codec: Codec<T>, max: number): Codec<T[]> {
  return {
    minBytes: 4,
    read(reader) {
      const count = reader.uint();
      if (count > max) throw new ProtocolError(`A list of ${count} is over the limit of ${max}.`);
      if (count * codec.minBytes > reader.remaining) {
        throw new ProtocolError(`A list promises ${count} elements; ${reader.remaining} bytes cannot hold them.`);
      }
      const values: T[] = [];
      for (let i = 0; i < count; i++) values.push(codec.read(reader));
      return values;
    },
    write(writer, values) {
      if (values.length > max) throw new InvalidRequest(`A list of ${values.length} is over the limit of ${max}.`);
      writer.uint(values.length);
      for (const value of values) codec.write(writer, value);
    },
  };
}

/** A structure: the fields in the order in which they are written down here. */
export function struct<T extends object>(fields: { readonly [Name in keyof T]: Codec<T[Name]> }): Codec<T> {
  const rows = Object.entries(fields) as [keyof T, Codec<T[keyof T]>][]; // entries() forgets the key type
  return {
    minBytes: rows.reduce((sum, [, codec]) => sum + codec.minBytes, 0),
    read(reader) {
      const value: Partial<T> = {};
      for (const [name, codec] of rows) value[name] = codec.read(reader);
      return value as T; // each field was just read by its own codec
    },
    write(writer, value) {
      for (const [name, codec] of rows) codec.write(writer, value[name]);
    },
  };
}

function wholeNumber(value: number): bigint {
  if (!Number.isSafeInteger(value)) throw new InvalidRequest(`${value} is not an integer within 2^53.`);
  return BigInt(value);
}
