import { getIntrospectionQuery, parse } from 'graphql';
import { expect, it } from 'vitest';
import { refuseOversized } from './document-size.ts';
import { DEFAULT_LIMITS } from './limits.ts';

const repeat = (count: number, line: (index: number) => string) => Array.from({ length: count }, (_, index) => line(index)).join(' ');
const nested = (depth: number) => `${'{ a '.repeat(depth)}${'}'.repeat(depth)}`;
/** Small to write: each fragment spreads the next one twice. */
const doubling = (count: number, field = 'x') => `{ ...F0 } ${repeat(count, (index) => `fragment F${index} on Query { a { ...F${index + 1} } b { ...F${index + 1} } }`)} fragment F${count} on Query { ${field} }`;

it.each([
  ['introspection', getIntrospectionQuery({ descriptions: true, inputValueDeprecation: true, oneOf: true, specifiedByUrl: true })],
  ['2,000 fields', `{ a { ${repeat(1_999, (index) => `x${index}`)} } }`],
  ['50 repeats', `{ a { ${repeat(25, () => 'x')} } a { ${repeat(25, () => 'x')} } }`],
  ['200 fragments', `{ x } ${repeat(200, (index) => `fragment F${index} on Query { x }`)}`],
  ['200 variables', `query (${repeat(200, (index) => `$v${index}: Int`)}) { x }`],
  ['200 aliases', `{ a { ${repeat(200, (index) => `a${index}: x`)} } }`],
  ['50 root fields', `{ ${repeat(50, () => 'x')} }`],
  ['30 levels', nested(30)],
  ['8 directives', `{ x ${'@d '.repeat(8)} }`],
  ['a few fragments', doubling(8)],
])('takes %s', (_what, query) => {
  expect(() => refuseOversized(parse(query))).not.toThrow();
});

it.each([
  ['2,001 fields', `{ a { ${repeat(2_000, (index) => `x${index}`)} } }`, 'more than 2000 fields, counting what fragments repeat (limit "fields")'],
  ['2,001 fields in inline fragments', `{ ${repeat(2_001, () => '... { x }')} }`, 'more than 2000 fields'],
  ['nested fragments', doubling(10), 'more than 2000 fields'],
  ['201 aliases', `{ a { ${repeat(201, (index) => `a${index}: x`)} } }`, 'more than 200 aliases, counting what fragments repeat (limit "aliases")'],
  ['an alias that fragments repeat', doubling(8, 'y: x'), 'more than 200 aliases'],
  ['aliases at every level', `{ a: x { ${repeat(10, (one) => `a${one}: x { ${repeat(20, (other) => `a${other}: x`)} }`)} } }`, 'more than 200 aliases'],
  ['51 root fields', `mutation { ${repeat(51, () => 'x')} }`, 'more than 50 root fields, counting what fragments repeat (limit "rootFields")'],
  ['51 root fields in fragments', `{ ...A ... { ${repeat(25, () => 'x')} } } fragment A on Query { ${repeat(26, () => 'x')} }`, 'more than 50 root fields'],
  ['51 repeats', `{ a { ${repeat(51, () => 'x')} } }`, '"x" is asked for more than 50 times in one place, counting what fragments repeat (limit "repeats")'],
  ['repeats in objects that are merged', `{ ${repeat(26, () => 'a { x { y } }')} ... { ${repeat(2, () => '...A')} } } fragment A on Query { ${repeat(12, () => 'a { x { y y } }')} }`, '"y" is asked for more than 50 times'],
  ['201 fragments', `{ x } ${repeat(201, (index) => `fragment F${index} on Query { x }`)}`, 'more than 200 fragments (limit "fragments")'],
  ['201 variables', `query (${repeat(201, (index) => `$v${index}: Int`)}) { x }`, 'more than 200 variables (limit "variables")'],
  ['a fragment that is not there', '{ ...A }', 'Unknown fragment "A".'],
  ['fragments that come to nothing', `${doubling(100, '...F101')}`, 'Unknown fragment "F101".'],
  ['a fragment that spreads itself', '{ ...A } fragment A on Query { x ...B } fragment B on Query { ...A }', 'Cannot spread fragment "A" within itself.'],
  ['the second operation', `query A { x } query B ${nested(31)}`, 'more than 30 fields deep (limit "depth")'],
  ['a fragment that nothing spreads', `{ x } fragment A on Query ${nested(31)}`, 'more than 30 fields deep'],
  ['depth through fragments', `{ ...F0 } ${repeat(31, (index) => `fragment F${index} on Query { x { ...F${index + 1} } }`)} fragment F31 on Query { x }`, 'more than 30 fields deep'],
  ['directives on a field', `{ a { x ${'@skip(if: true) '.repeat(9)} } }`, 'more than 8 directives in one place (limit "directives")'],
  ['directives on an inline fragment', `{ ... ${'@d '.repeat(9)} { x } }`, 'more than 8 directives'],
  ['directives on a spread', `{ ...A ${'@d '.repeat(9)} }`, 'more than 8 directives'],
  ['directives on an operation', `query A ${'@d '.repeat(9)} { x }`, 'more than 8 directives'],
  ['directives on a fragment', `{ x } fragment A on Query ${'@d '.repeat(9)} { x }`, 'more than 8 directives'],
  ['directives on a variable', `query A($x: Int ${'@d '.repeat(9)}) { x }`, 'more than 8 directives'],
])('refuses %s', (_what, query, message) => {
  expect(() => refuseOversized(parse(query))).toThrow(message);
});

it('takes other limits', () => {
  expect(() => refuseOversized(parse('{ a b c }'), { ...DEFAULT_LIMITS, rootFields: 2 })).toThrow('more than 2 root fields');
});

it('looks at every selection once, however often it is spread', () => {
  const document = parse(doubling(199));
  const begun = performance.now();
  expect(() => refuseOversized(document)).toThrow('more than 2000 fields');
  expect(performance.now() - begun).toBeLessThan(500);
});
