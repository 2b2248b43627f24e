import { describe, expect, it } from 'vitest';
import { isStuck, remember, type Sample } from './convergence.ts';

/** A sample every half second; an iteration every second. */
const run = (remaining: readonly number[], iterationsPerSecond = 1): Sample[] =>
  remaining.reduce<Sample[]>((samples, value, index) => remember(samples, { atMs: index * 500, iteration: 1 + Math.floor((index / 2) * iterationsPerSecond), remaining: value }), []);

describe('a migration', () => {
  it.each<[string, boolean, Sample[]]>([
    ['that has just begun gets on', false, run([100, 90])],
    ['that gets smaller and smaller gets on', false, run([100, 90, 80, 70, 60, 50, 40, 30, 20, 10])],
    ['that is gone through in vain is stuck', true, run([20, 1, 20, 2, 20, 2, 20, 2, 20, 2, 20, 2])],
    ['that was stuck and gets on again gets on', false, run([20, 10, 20, 10, 20, 10, 20, 10, 20, 10, 5, 4])],
    ['that is slow, in one long pass, gets on', false, run(Array.from({ length: 12 }, () => 100), 0)],
    ['that nobody has looked at gets on', false, []],
  ])('%s', (_title, expected, samples) => {
    expect(isStuck(samples)).toBe(expected);
  });

  it('keeps no more samples than it needs', () => {
    expect(run(Array.from({ length: 1000 }, (_, index) => 1000 - index)).length).toBeLessThanOrEqual(8);
  });
});
