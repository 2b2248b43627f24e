import { getIntrospectionQuery, parse } from 'graphql';
import { expect, it } from 'vitest';
import { refuseOversized } from './document-size.ts';

const repeat = (count: number, line: (index: number) => string) => Array.from({ length: count }, (_, index) => line(index)).join(' ');
const nested = (depth: number) => `${'{ a '.repeat(depth)}${'}'.repeat(depth)}`;
/** Small to write: each fragment spreads the next one twice. */
const doubling = (count: number) => `{ ...F0 } ${repeat(count, (index) => `fragment F${index} on Query { a: x { ...F${index + 1} } b: x { ...F${index + 1} } }`)} fragment F${count} on Query { x }`;

it.each([
  ['introspection', getIntrospectionQuery({ descriptions: true, inputValueDeprecation: true, oneOf: true, specifiedByUrl: true })],
  ['2,000 fields', `{ ${repeat(2_000, (index) => `a${index}: x`)} }`],
  ['30 levels', nested(30)],
  ['a few fragments', doubling(8)],
  ['a fragment that spreads itself, which the validator refuses', '{ ...A } fragment A on Query { x ...B } fragment B on Query { ...A }'],
  ['a fragment that is not there', '{ ...A }'],
])('takes %s', (_what, query) => {
  expect(() => refuseOversized(parse(query))).not.toThrow();
});

it.each([
  ['2,001 fields', `{ ${repeat(2_001, (index) => `a${index}: x`)} }`, 'more than 2000 fields'],
  ['2,001 fields in inline fragments', `{ ${repeat(2_001, () => '... { x }')} }`, 'more than 2000 fields'],
  ['nested fragments', doubling(10), 'more than 2000 fields'],
  ['the second operation', `query A { x } query B ${nested(31)}`, 'more than 30 fields deep'],
  ['a fragment that nothing spreads', `{ x } fragment A on Query ${nested(31)}`, 'more than 30 fields deep'],
  ['depth through fragments', `{ ...F0 } ${repeat(31, (index) => `fragment F${index} on Query { x { ...F${index + 1} } }`)} fragment F31 on Query { x }`, 'more than 30 fields deep'],
])('refuses %s', (_what, query, message) => {
  expect(() => refuseOversized(parse(query))).toThrow(message);
});

it('looks at every selection once, however often it is spread', () => {
  const document = parse(doubling(400));
  const begun = performance.now();
  expect(() => refuseOversized(document)).toThrow('more than 2000 fields');
  expect(performance.now() - begun).toBeLessThan(500);
});
