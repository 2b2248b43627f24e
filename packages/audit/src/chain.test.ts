import { describe, expect, it } from 'vitest';
import { BEGINNING, faultAfter, hashAfter, type ChainedRow, type Place } from './chain.ts';

const NONE = { id: null, at: null, userId: null, tenantId: null, action: null, outcome: null, targetId: null, requestId: null };

function chain(length: number): ChainedRow[] {
  let before = BEGINNING.hash;
  return Array.from({ length }, (_, index) => {
    const content = JSON.stringify({ position: index + 1, action: `act${index}` });
    before = hashAfter(before, content);
    return { position: index + 1, content, hash: before, columns: { ...NONE, action: `act${index}` } };
  });
}

function firstFault(rows: ChainedRow[]): string | null {
  let place: Place = BEGINNING;
  for (const row of rows) {
    const fault = faultAfter(place, row);
    if (fault) return fault;
    place = row;
  }
  return null;
}

describe('a chain', () => {
  it('is whole as it was made', () => expect(firstFault(chain(5))).toBeNull());

  it.each<[string, (rows: ChainedRow[]) => ChainedRow[], string]>([
    ['a changed row', (rows) => rows.map((row, at) => (at === 2 ? { ...row, content: row.content.replace('act2', 'actX') } : row)), '3 was changed'],
    ['a changed column', (rows) => rows.map((row, at) => (at === 2 ? { ...row, columns: { ...row.columns, action: 'other' } } : row)), '3 was changed in "action"'],
    ['a missing row', (rows) => rows.toSpliced(2, 1), '1 missing before 4'],
    ['a missing first row', (rows) => rows.slice(1), '1 missing before 2'],
    ['rows in another order', ([a, b, c, ...rest]) => [a!, c!, b!, ...rest], '1 missing before 3'],
    ['rows that changed places', ([a, b, ...rest]) => [{ ...b!, position: 1 }, { ...a!, position: 2 }, ...rest], '1 was changed'],
    ['a row too many', (rows) => [...rows, rows.at(-1)!], '5 is out of order'],
    ['a row changed with its own hash', (rows) => rows.map((row, at) => (at === 2 ? { ...row, content: '{"position": 3}', hash: hashAfter(rows[1]!.hash, '{"position": 3}') } : row)), '3 was changed in "action"'],
  ])('shows %s', (_what, change, fault) => expect(firstFault(change(chain(5)))).toBe(fault));
});
