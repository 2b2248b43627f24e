import type { Codec } from './codec.ts';
import { int, list, optional, string, struct } from './codec.ts';
import { InvalidRequest, ProtocolError } from './errors.ts';

/**
 * How libvirt names a domain. It finds it by `uuid`; `name` is for its messages; `id` is the number
 * of the running instance, -1 while the domain is not running.
 */
export interface DomainRef {
  readonly name: string;
  /** Canonical: lower case, with hyphens. */
  readonly uuid: string;
  readonly id: number;
}

/**
 * The value of a typed parameter. Its type follows from the type on the wire, never from the value:
 * int, uint and double are numbers, llong and ullong are bigint, boolean and string are themselves.
 */
export type TypedValue = number | bigint | boolean | string;

/** Typed parameters by name, such as `cpu.time`. Has no prototype: every key is the daemon's. */
export type TypedParams = Readonly<Record<string, TypedValue>>;

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** remote_uuid: 16 bytes on the wire, canonical text here. */
export const uuid: Codec<string> = {
  minBytes: 16,
  read(reader) {
    const hex = reader.opaque(16).toString('hex');
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
  },
  write(writer, value) {
    if (!UUID.test(value)) throw new InvalidRequest(`${JSON.stringify(value)} is not a UUID.`);
    writer.opaque(Buffer.from(value.replaceAll('-', ''), 'hex'));
  },
};

/** remote_nonnull_domain. */
export const domain: Codec<DomainRef> = struct({ name: string, uuid, id: int });

/** remote_error (virNetMessageError): what a refused call carries instead of its result. */
export const remoteError = struct({
  code: int,
  domain: int,
  message: optional(string),
  level: int,
  dom: optional(domain),
  str1: optional(string),
  str2: optional(string),
  str3: optional(string),
  int1: int,
  int2: int,
  net: optional(struct({ name: string, uuid })),
});

/**
 * remote_typed_param_value: a number that says the type, and the value.
 * Source: libvirt 9.0.0 include/libvirt/libvirt-common.h.in, virTypedParameterType.
 */
const typedValue: Codec<TypedValue> = {
  minBytes: 8,
  read(reader) {
    const type = reader.int();
    switch (type) {
      case 1: return reader.int();
      case 2: return reader.uint();
      case 3: return reader.hyper();
      case 4: return reader.uhyper();
      case 5: return reader.double();
      case 6: return reader.int() !== 0;
      case 7: return string.read(reader);
      default: throw new ProtocolError(`A typed parameter has the unknown type ${type}.`);
    }
  },
  write(writer, value) {
    if (typeof value === 'string') {
      writer.int(7);
      string.write(writer, value);
    } else if (typeof value === 'boolean') {
      writer.int(6);
      writer.int(value ? 1 : 0);
    } else if (typeof value === 'bigint') {
      writer.int(value < 0n ? 3 : 4);
      if (value < 0n) writer.hyper(value);
      else writer.uhyper(value);
    } else if (Number.isInteger(value)) {
      writer.int(value < 0 ? 1 : 2);
      if (value < 0) writer.int(value);
      else writer.uint(value);
    } else {
      writer.int(5);
      writer.double(value);
    }
  },
};

/** A list of remote_typed_param as one object. */
export function typedParams(max: number): Codec<TypedParams> {
  const rows = list(struct({ field: string, value: typedValue }), max);
  return {
    minBytes: rows.minBytes,
    read(reader) {
      const params = Object.create(null) as Record<string, TypedValue>; // create() is untyped
      for (const { field, value } of rows.read(reader)) params[field] = value;
      return params;
    },
    write: (writer, params) => rows.write(writer, Object.entries(params).map(([field, value]) => ({ field, value }))),
  };
}

/** `char text[length]`: each char takes four bytes on the wire (XDR has no smaller integer); NUL ends the text. */
export function fixedChars(length: number): Codec<string> {
  return {
    minBytes: length * 4,
    read(reader) {
      const bytes: number[] = [];
      for (let i = 0; i < length; i++) bytes.push(reader.int() & 0xff);
      const end = bytes.indexOf(0);
      return Buffer.from(end < 0 ? bytes : bytes.slice(0, end)).toString('utf8');
    },
    write(writer, value) {
      const bytes = Buffer.from(value);
      if (bytes.length > length) throw new InvalidRequest(`${JSON.stringify(value)} is longer than ${length} bytes.`);
      for (let i = 0; i < length; i++) writer.int(bytes[i] ?? 0);
    },
  };
}
