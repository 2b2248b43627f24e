import { describe, expect, it } from 'vitest';
import type { Codec } from './codec.ts';
import { boolean, bytes, int, list, optional, safeHyper, safeUhyper, string, struct, uhyper, uint } from './codec.ts';
import { InvalidRequest, ProtocolError } from './errors.ts';
import { LIMIT } from './limits.ts';
import { addressType, domain, exactParams, fixedChars, secret, typedParams, uuid, volume } from './structures.ts';
import { XdrReader, XdrWriter } from './xdr.ts';

const bytesOf = <T>(codec: Codec<T>, value: T): string => {
  const writer = new XdrWriter();
  writer.uint(0); // the length word that finishMessage fills in
  codec.write(writer, value);
  return writer.finishMessage().subarray(4).toString('hex');
};

const read = <T>(codec: Codec<T>, hex: string): T => {
  const reader = new XdrReader(Buffer.from(hex, 'hex'));
  const value = codec.read(reader);
  reader.end();
  return value;
};

const UUID = '6695eb01-f6a4-8304-79aa-97f2502e193f';
/** A row: what the codec makes of the value, and of the bytes. */
const row = <T>(name: string, codec: Codec<T>, value: T, hex: string) => ({
  name,
  value,
  hex,
  write: () => bytesOf(codec, value),
  read: () => read(codec, hex),
});

describe('a value and its bytes (RFC 4506)', () => {
  it.each([
    row('int', int, -2, 'fffffffe'),
    row('unsigned int', uint, 0xffff_ffff, 'ffffffff'),
    row('unsigned hyper', uhyper, 2n ** 64n - 1n, 'ffffffffffffffff'),
    row('unsigned hyper as a number', safeUhyper, 2 ** 53 - 1, '001fffffffffffff'),
    row('string, padded', string, 'abcde', '000000056162636465000000'),
    row('string, no padding needed', string, 'abcd', '0000000461626364'),
    row('empty string', string, '', '00000000'),
    row('string beyond ASCII', string, 'ü', '00000002c3bc0000'),
    row('optional, absent', optional(string), null, '00000000'),
    row('optional, present', optional(string), 'a', '000000010000000161000000'),
    row('list', list(int, 3), [1, 2], '000000020000000100000002'),
    row('hyper as a number', safeHyper, -2, 'fffffffffffffffe'),
    row('int that means yes', boolean, true, '00000001'),
    row('opaque', bytes(3), Uint8Array.of(1, 2, 255), '000000030102ff00'),
    row('address family', addressType, 'ipv6', '00000001'),
    row('volume', volume, { pool: 'p', name: 'v', key: 'k' }, '00000001700000000000000176000000000000016b000000'),
    row('secret', secret, { uuid: UUID, usageType: 2, usageId: 'c' }, `${UUID.replaceAll('-', '')}000000020000000163000000`),
    row('structure', struct({ a: int, b: string }), { a: 1, b: 'x' }, '000000010000000178000000'),
    row('uuid', uuid, UUID, UUID.replaceAll('-', '')),
    row('domain', domain, { name: 'test', uuid: UUID, id: -1 }, `0000000474657374${UUID.replaceAll('-', '')}ffffffff`),
    row('char[4]', fixedChars(4), 'i6', '00000069000000360000000000000000'),
    row('typed int', typedParams(1), { a: -1 }, '00000001000000016100000000000001ffffffff'),
    row('typed unsigned int', typedParams(1), { a: 1 }, '0000000100000001610000000000000200000001'),
    row('typed llong', typedParams(1), { a: -1n }, '00000001000000016100000000000003ffffffffffffffff'),
    row('typed ullong', typedParams(1), { a: 1n }, '000000010000000161000000000000040000000000000001'),
    row('typed double', typedParams(1), { a: 0.5 }, '000000010000000161000000000000053fe0000000000000'),
    row('typed boolean', typedParams(1), { a: true }, '0000000100000001610000000000000600000001'),
    row('typed string', typedParams(1), { a: 'b' }, '000000010000000161000000000000070000000162000000'),
  ])('$name', ({ value, hex, write, read: readBack }) => {
    expect(write()).toBe(hex);
    expect(readBack()).toEqual(value);
  });

  it('writes parameters of an exact type, also twice', () => {
    const params = [{ field: 'a', type: 'int', value: 1 }, { field: 'a', type: 'ullong', value: 1 }, { field: 'b', type: 'string', value: 'c' }] as const;
    const [a, b] = ['0000000161000000', '0000000162000000'];
    const written = `00000003${a}0000000100000001${a}000000040000000000000001${b}000000070000000163000000`;
    expect(bytesOf(exactParams(3), params)).toBe(written);
    expect(() => read(exactParams(3), written)).toThrow(ProtocolError); // no daemon sends them
  });

  it('reads an address family that it does not know', () => {
    expect(read(addressType, '00000009')).toBe('unknown');
  });

  it('keeps a typed parameter called __proto__ as what it is', () => {
    const params = read(typedParams(1), `0000000100000009${Buffer.from('__proto__\0\0\0').toString('hex')}0000000200000001`);
    expect(Object.entries(params)).toEqual([['__proto__', 1]]);
  });

  it('reads bytes that are not UTF-8 as U+FFFD', () => {
    expect(read(string, '00000002ff610000')).toBe('\u{FFFD}a');
  });
});

describe('what cannot be read is a ProtocolError', () => {
  it.each<[string, Codec<unknown>, string]>([
    ['an int cut short', int, '0000'],
    ['a string cut short', string, '0000000561'],
    ['a string without its padding', string, '0000000161'],
    ['a string over the limit', string, '00400001'],
    ['an optional that is neither there nor not', optional(int), '0000000200000000'],
    ['a list over its limit', list(int, 1), '000000020000000000000000'],
    ['a list that the rest of the message cannot hold', list(domain, LIMIT.domains), '00004000' + '00'.repeat(64)],
    ['a typed parameter of an unknown type', typedParams(1), '000000010000000161000000000000080000000000000000'],
    ['a number of KiB beyond 2^53', safeUhyper, '0020000000000000'],
    ['a number of seconds beyond 2^53', safeHyper, '8000000000000000'],
    ['opaque over its limit', bytes(3), '0000000401020304'],
    ['bytes left over', int, '0000000000000000'],
  ])('%s', (_name, codec, hex) => {
    expect(() => read(codec, hex)).toThrow(ProtocolError);
  });
});

describe('what cannot be written is an InvalidRequest', () => {
  it.each<[string, () => void]>([
    ['a fraction', () => bytesOf(int, 0.5)],
    ['an int of 33 bits', () => bytesOf(int, 2 ** 31)],
    ['a negative unsigned int', () => bytesOf(uint, -1)],
    ['a uhyper of 65 bits', () => bytesOf(uhyper, 2n ** 64n)],
    ['a fraction of a byte', () => bytesOf(safeUhyper, 0.5)],
    ['a size beyond 2^53', () => bytesOf(safeUhyper, 2 ** 53)],
    ['a size that is not a number', () => bytesOf(safeHyper, NaN)],
    ['a negative size', () => bytesOf(safeUhyper, -1)],
    ['opaque over its limit', () => bytesOf(bytes(3), new Uint8Array(4))],
    ['a string over the limit', () => bytesOf(string, 'x'.repeat(LIMIT.stringBytes + 1))],
    ['a string with a NUL', () => bytesOf(string, 'a\0b')],
    ['a list over its limit', () => bytesOf(list(int, 1), [1, 2])],
    ['what is no UUID', () => bytesOf(uuid, 'test')],
    ['a message over the limit', () => bytesOf(list(string, 9), Array(9).fill('x'.repeat(LIMIT.stringBytes)))],
  ])('%s', (_name, write) => {
    expect(write).toThrow(InvalidRequest);
  });

  it('writes the longest string that is allowed', () => {
    expect(bytesOf(string, 'x'.repeat(LIMIT.stringBytes))).toHaveLength((4 + LIMIT.stringBytes) * 2);
  });
});
