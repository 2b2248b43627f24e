import { expect, it } from 'vitest';
import { containing, equalsId } from './filter.ts';

it.each([
  ['web', 'web'],
  ['100%', String.raw`100\%`],
  ['a_b', String.raw`a\_b`],
  ['\\', String.raw`\\`],
])('looks for %s as it is written', (text, pattern) => {
  expect(containing(text)).toEqual({ contains: pattern, mode: 'insensitive' });
});

it.each(['\u0000', 'half \ud800', 'x'.repeat(256)])('does not look for %j', (text) => {
  expect(() => containing(text)).toThrow(expect.objectContaining({ code: 'BAD_USER_INPUT', field: 'filter.search' }));
});

it('finds nothing under what is no id', () => {
  expect(equalsId('web-1')).toEqual({ in: [] });
});
