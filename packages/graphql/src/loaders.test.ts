import { newId } from '@novacron/core';
import { expect, it } from 'vitest';
import { countLoader, rowLoader, rowsLoader } from './loaders.ts';

const [first, second, none] = [newId<string>(), newId<string>(), newId<string>()];
const rows = [
  { id: newId<string>(), owner: first },
  { id: newId<string>(), owner: second },
  { id: newId<string>(), owner: first },
] as const;

it('reads a page in one statement, without what is no id', async () => {
  const asked: string[][] = [];
  const loader = rowLoader((ids) => {
    asked.push(ids);
    return Promise.resolve(rows.filter(({ id }) => ids.some((one) => one.toLowerCase() === id)));
  });
  expect(await loader.loadMany([rows[1].id, 'web-1', none, rows[0].id.toUpperCase()])).toEqual([rows[1], null, null, rows[0]]);
  expect(asked).toEqual([[rows[1].id, none, rows[0].id.toUpperCase()]]);
});

it('asks nothing about what is no id', async () => {
  const loader = rowLoader(() => Promise.reject(new Error('asked')));
  expect(await loader.load('web-1')).toBeNull();
});

it('gives each owner what it has, in order', async () => {
  const loader = rowsLoader(() => Promise.resolve([...rows]), ({ owner }) => owner);
  expect(await loader.loadMany([second, none, first])).toEqual([[rows[1]], [], [rows[0], rows[2]]]);
});

it('counts nothing where there is nothing', async () => {
  const loader = countLoader(() => Promise.resolve([{ owner: first, _count: 2 }]), ({ owner }) => owner);
  expect(await loader.loadMany([none, first])).toEqual([0, 2]);
});
