import { getIntrospectionQuery } from 'graphql';
import { expect, it } from 'vitest';
import { DEFAULT_LIMITS } from './limits.ts';
import { parseWithin, refuseDeepVariables } from './parse-within.ts';

const nested = (depth: number, open: string, close: string) => open.repeat(depth) + close.repeat(depth);

it.each([
  ['introspection', getIntrospectionQuery({ descriptions: true, inputValueDeprecation: true, oneOf: true, specifiedByUrl: true })],
  ['100 levels', nested(100, '{ a ', '}')],
  ['brackets in text', `{ a(x: "${'['.repeat(200)}") }`],
  ['brackets beside each other', `{ ${'a(x: [[1]]) '.repeat(200)} }`],
])('takes %s', (_what, query) => {
  expect(() => parseWithin(query)).not.toThrow();
});

it.each([
  ['10,001 tokens', `{ ${'a '.repeat(9_999)} }`, 'more than 10000 tokens (limit "tokens")'],
  ['5,001 lines', `${'\n'.repeat(5_000)}{ a }`, 'more than 5000 lines (limit "lines")'],
  ['5,001 lines of text', `{ a(x: """${'\n'.repeat(5_000)}""") }`, 'more than 5000 lines'],
  ['5,001 lines after the last word', `{ a }${'\r'.repeat(5_000)}`, 'more than 5000 lines'],
  ['fields inside one another', nested(4_000, '{ a ', '}'), 'more than 100 brackets deep (limit "nesting")'],
  ['lists inside one another', `{ a(x: ${nested(4_000, '[', ']')}) }`, 'more than 100 brackets deep'],
  ['objects inside one another', `{ a(x: ${nested(2_000, '{ x: ', '}')}) }`, 'more than 100 brackets deep'],
  ['list types inside one another', `query ($x: ${nested(4_000, '[', ']')}) { a }`, 'more than 100 brackets deep'],
])('refuses %s within milliseconds', (_what, query, message) => {
  const begun = performance.now();
  expect(() => parseWithin(query)).toThrow(message);
  expect(performance.now() - begun).toBeLessThan(100);
});

it('leaves what is no document to the parser', () => {
  expect(() => parseWithin('{ a')).toThrow('Syntax Error: Expected Name, found <EOF>.');
  expect(() => parseWithin('{ a ? }')).toThrow('Syntax Error: Unexpected character: "?".');
  expect(() => parseWithin('}}}}')).toThrow('Syntax Error');
});

it('refuses variables that are nested too deeply, however wide they are', () => {
  const deep = JSON.parse(nested(100_000, '[', ']')) as unknown;
  expect(() => refuseDeepVariables({ deep })).toThrow('more than 100 brackets deep (limit "nesting")');
  expect(() => refuseDeepVariables({ wide: Array.from({ length: 100_000 }, () => ({ a: [null] })) })).not.toThrow();
  expect(() => refuseDeepVariables(undefined)).not.toThrow();
  expect(() => refuseDeepVariables({ a: { b: 1 } }, { ...DEFAULT_LIMITS, nesting: 1 })).toThrow('more than 1 brackets deep');
});
