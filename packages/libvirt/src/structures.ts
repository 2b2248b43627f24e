import type { Codec } from './codec.ts';
import { int, list, optional, safeHyper, safeUhyper, string, struct, uint } from './codec.ts';
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

/** How libvirt names a storage pool; it finds it by `uuid`. */
export interface PoolRef {
  readonly name: string;
  readonly uuid: string;
}

/** How libvirt names a volume: `pool` and `name` are the names of both; `key` is unique on the host, often the path. */
export interface VolumeRef {
  readonly pool: string;
  readonly name: string;
  readonly key: string;
}

/** How libvirt names a virtual network; it finds it by `uuid`. */
export interface NetworkRef {
  readonly name: string;
  readonly uuid: string;
}

/** How libvirt names a network filter; it finds it by `uuid`. */
export interface NetworkFilterRef {
  readonly name: string;
  readonly uuid: string;
}

/** How libvirt names a secret; it finds it by `uuid`. */
export interface SecretRef {
  readonly uuid: string;
  /** virSecretUsageType: 0 none, 1 a volume, 2 Ceph, 3 iSCSI, 4 TLS, 5 a virtual TPM. */
  readonly usageType: number;
  /** What it is for, in the words of its XML; empty for the type none. */
  readonly usageId: string;
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

/** remote_nonnull_storage_pool. */
export const pool: Codec<PoolRef> = struct({ name: string, uuid });

/** remote_nonnull_storage_vol. */
export const volume: Codec<VolumeRef> = struct({ pool: string, name: string, key: string });

/** remote_nonnull_network. */
export const network: Codec<NetworkRef> = struct({ name: string, uuid });

/** remote_nonnull_nwfilter. */
export const networkFilter: Codec<NetworkFilterRef> = struct({ name: string, uuid });

/** remote_nonnull_secret. */
export const secret: Codec<SecretRef> = struct({ uuid, usageType: int, usageId: string });

/** The family of an address; `unknown` stands for a number that this client does not know. */
export type AddressType = 'ipv4' | 'ipv6' | 'unknown';

const ADDRESS_TYPES = ['ipv4', 'ipv6', 'unknown'] as const;

/** virIPAddrType, an int. Source: libvirt 9.0.0 include/libvirt/libvirt-network.h; the position is libvirt's number. */
export const addressType: Codec<AddressType> = {
  minBytes: 4,
  read: (r) => ADDRESS_TYPES[r.int()] ?? 'unknown',
  write: (w, v) => w.int(ADDRESS_TYPES.indexOf(v)),
};

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

/** virNetStreamHole: bytes of a stream that are zero and are not sent. */
export const streamHole = struct({ length: safeHyper, flags: uint });

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

/**
 * A typed parameter for a daemon that insists on its type, and lets some occur more than once
 * (libvirt 9.0.0 src/util/virtypedparam.c, virTypedParamsValidate).
 */
export type ExactParam = { readonly field: string } & (
  | { readonly type: 'int'; readonly value: number }
  | { readonly type: 'ullong'; readonly value: number }
  | { readonly type: 'string'; readonly value: string }
);

const exactInt = struct({ field: string, number: int, value: int });
const exactUllong = struct({ field: string, number: int, value: safeUhyper });
const exactString = struct({ field: string, number: int, value: string });

/** A list of remote_typed_param, each with its type, in order. It is only ever sent. */
export function exactParams(max: number): Codec<readonly ExactParam[]> {
  const row: Codec<ExactParam> = {
    minBytes: 12,
    read() {
      throw new ProtocolError('A daemon does not send parameters of this kind.');
    },
    write(writer, { field, ...param }) {
      switch (param.type) {
        case 'int': return exactInt.write(writer, { field, number: 1, value: param.value });
        case 'ullong': return exactUllong.write(writer, { field, number: 4, value: param.value });
        case 'string': return exactString.write(writer, { field, number: 7, value: param.value });
      }
    },
  };
  const rows = list(row, max);
  return { ...rows, write: (writer, params) => rows.write(writer, [...params]) };
}

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
