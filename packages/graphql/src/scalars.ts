import { DomainError } from '@novacron/core';
import { GraphQLScalarType, Kind, type ValueNode } from 'graphql';

const UNITS: Readonly<Record<string, number>> = {
  '': 1,
  B: 1,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40,
  PiB: 2 ** 50,
  kB: 1e3,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  PB: 1e15,
};

const bad = (message: string) => new DomainError('BAD_USER_INPUT', message);

/**
 * Bytes from what a client sends: 536870912, "536870912" or "512MiB". Whole, not negative, and small
 * enough to be exact in JSON (2^53 - 1, 8 PiB).
 */
export function parseByteSize(value: unknown): number {
  const match = typeof value === 'string' ? /^(\d+(?:\.\d+)?)\s*([A-Za-z]*)$/.exec(value.trim()) : null;
  const unit = match === null ? undefined : UNITS[match[2] ?? ''];
  const bytes = typeof value === 'number' ? value : match && unit !== undefined ? Number(match[1]) * unit : Number.NaN;
  if (!Number.isSafeInteger(bytes) || bytes < 0) {
    throw bad('A ByteSize is a whole number of bytes or text such as "512MiB".');
  }
  return bytes;
}

export function parseDateTime(value: unknown): Date {
  // RFC 3339 wants a zone: a local time would mean something else on each server.
  const text = typeof value === 'string' && /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/i.test(value);
  const date = text ? new Date(value) : null;
  if (date === null || Number.isNaN(date.getTime())) {
    throw bad('A DateTime is written as in RFC 3339, such as "2026-11-20T09:00:00Z".');
  }
  return date;
}

const plain = (node: ValueNode): unknown =>
  node.kind === Kind.INT ? Number(node.value) : node.kind === Kind.STRING ? node.value : undefined;

function json(node: ValueNode, variables?: Record<string, unknown> | null): unknown {
  switch (node.kind) {
    case Kind.NULL:
      return null;
    case Kind.INT:
    case Kind.FLOAT:
      return Number(node.value);
    case Kind.STRING:
    case Kind.BOOLEAN:
    case Kind.ENUM:
      return node.value;
    case Kind.LIST:
      return node.values.map((item) => json(item, variables));
    case Kind.OBJECT:
      return Object.fromEntries(node.fields.map((field) => [field.name.value, json(field.value, variables)]));
    case Kind.VARIABLE:
      return variables?.[node.name.value];
  }
}

export const ByteSize = new GraphQLScalarType<number, number>({
  name: 'ByteSize',
  description:
    'A size in bytes. Send a number (536870912) or text with a unit ("512MiB", "2GB"); the answer is always a number of bytes.',
  serialize: (value) => Number(value),
  parseValue: parseByteSize,
  parseLiteral: (node) => parseByteSize(plain(node)),
});

export const DateTime = new GraphQLScalarType<Date, string>({
  name: 'DateTime',
  description: 'A moment, as in RFC 3339, answered in UTC: "2026-11-20T09:00:00.000Z".',
  specifiedByURL: 'https://scalars.graphql.org/andimarek/date-time.html',
  serialize: (value) => (value instanceof Date ? value : new Date(String(value))).toISOString(),
  parseValue: parseDateTime,
  parseLiteral: (node) => parseDateTime(plain(node)),
});

export const Json = new GraphQLScalarType<unknown, unknown>({
  name: 'JSON',
  description: 'Any JSON value.',
  specifiedByURL: 'https://www.rfc-editor.org/rfc/rfc8259',
  serialize: (value) => value,
  parseValue: (value) => value,
  parseLiteral: json,
});
