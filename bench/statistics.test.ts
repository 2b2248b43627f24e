import { expect, it } from 'vitest';
import { summarize } from './statistics.ts';

it.each([
  [[7], { count: 1, median: 7, p95: 7, p99: 7, min: 7, max: 7 }],
  [[3, 1, 2], { count: 3, median: 2, p95: 3, p99: 3, min: 1, max: 3 }],
  [Array.from({ length: 200 }, (_, index) => 200 - index), { count: 200, median: 100, p95: 190, p99: 198, min: 1, max: 200 }],
])('summarizes %#', (samples, summary) => {
  expect(summarize(samples)).toEqual(summary);
});

it('says so when nothing was measured', () => {
  expect(() => summarize([])).toThrow('Nothing was measured.');
});
