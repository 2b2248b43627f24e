import { describe, expect, it } from 'vitest';
import { historyWindow, isFresh } from './rules.ts';

const at = (text: string): Date => new Date(`2026-11-20T${text}Z`);
const now = at('12:00:00');
const hours = (count: number): number => count * 3_600_000;

describe('historyWindow', () => {
  it.each([
    ['until now, a 300th at a time', { from: at('11:00:00') }, { fromMs: at('11:00:00').getTime(), toMs: now.getTime(), stepMs: 12_000 }],
    ['not finer than what is kept', { from: at('11:59:00') }, { fromMs: at('11:59:00').getTime(), toMs: now.getTime(), stepMs: 10_000 }],
    [
      'as it was asked for',
      { from: at('00:00:00'), to: at('01:00:00'), stepMs: 60_000 },
      { fromMs: at('00:00:00').getTime(), toMs: at('01:00:00').getTime(), stepMs: 60_000 },
    ],
    ['all that there ever was', { from: new Date(0) }, { fromMs: 0, toMs: now.getTime(), stepMs: Math.ceil(now.getTime() / 300) }],
    ['exactly as many points as allowed', { from: new Date(now.getTime() - 20_000_000), stepMs: 10_000 }, { stepMs: 10_000 }],
  ])('%s', (_name, args, expected) => {
    expect(historyWindow(args, now)).toMatchObject(expected);
  });

  it.each([
    ['an end before the beginning', { from: at('11:00:00'), to: at('10:00:00') }, 'to'],
    ['no time at all', { from: at('11:00:00'), to: at('11:00:00') }, 'to'],
    ['a beginning in the future', { from: at('13:00:00') }, 'from'],
    ['too fine', { from: at('11:00:00'), stepMs: 9_999 }, 'stepMs'],
    ['no step', { from: at('11:00:00'), stepMs: 0 }, 'stepMs'],
    ['backwards', { from: at('11:00:00'), stepMs: -1 }, 'stepMs'],
    ['too many points', { from: new Date(now.getTime() - hours(6)), stepMs: 10_000 }, 'stepMs'],
  ])('refuses %s', (_name, args, field) => {
    expect(() => historyWindow(args, now)).toThrow(expect.objectContaining({ code: 'BAD_USER_INPUT', field }));
  });
});

describe('isFresh', () => {
  it.each([
    ['just now', 0, true],
    ['at the limit', 15_000, true],
    ['past it', 15_001, false],
    ['from a clock that is ahead', -5_000, true],
  ])('%s', (_name, ageMs, expected) => {
    expect(isFresh(new Date(now.getTime() - ageMs).toISOString(), now.getTime())).toBe(expected);
  });
});
