import type { TypedParams } from '@novacron/libvirt';
import { describe, expect, it } from 'vitest';
import { countsOf, phaseOf, predictMs, progressOf, readRunningJob, readStats, type JobStats } from './job-stats.ts';

const MIB = 2 ** 20;
const stats = (memory: Partial<JobStats['memory']>, disks: Partial<JobStats['disks']> = {}): JobStats => ({
  elapsedMs: 0,
  memory: { total: 0, processed: 0, remaining: 0, bytesPerSecond: 0, dirtyBytesPerSecond: 0, iteration: 0, ...memory },
  disks: { total: 0, processed: 0, remaining: 0, bytesPerSecond: 0, ...disks },
  downtimeMs: null,
  throttle: 0,
});

/** As libvirt 9.0 sent it, in the second pass of a guest of 256 MiB. */
const SENT: TypedParams = {
  operation: 5,
  time_elapsed: 1204n,
  downtime: 300n,
  memory_total: 286_064_640n,
  memory_processed: 91_226_112n,
  memory_remaining: 20_971_520n,
  memory_bps: 41_943_040n,
  memory_dirty_rate: 2048n,
  memory_page_size: 4096n,
  memory_iteration: 2n,
  auto_converge_throttle: 20,
};

describe('what libvirt says of a job', () => {
  it('is read with rates in bytes', () => {
    expect(readRunningJob({ type: 'unbounded', params: SENT })).toEqual({
      elapsedMs: 1204,
      memory: { total: 286_064_640, processed: 91_226_112, remaining: 20_971_520, bytesPerSecond: 41_943_040, dirtyBytesPerSecond: 8 * MIB, iteration: 2 },
      disks: { total: 0, processed: 0, remaining: 0, bytesPerSecond: 0 },
      downtimeMs: 300,
      throttle: 20,
    });
  });

  it.each([
    ['none', SENT],
    ['completed', SENT],
    ['failed', SENT],
    ['unbounded', { ...SENT, operation: 2 }], // a save
    ['unbounded', {}],
  ] as const)('is no migration under way: %s', (type, params) => {
    expect(readRunningJob({ type, params })).toBeNull();
  });

  it('may say nothing of what it does not count', () => {
    expect(readStats({})).toEqual(stats({}));
  });
});

describe('the phase', () => {
  it.each([
    ['COPYING_DISKS', stats({}, { total: 100, remaining: 50 })],
    ['COPYING_MEMORY', stats({ total: 100, remaining: 50 }, { total: 100 })],
    ['COPYING_MEMORY', stats({ total: 100 })],
    [null, stats({})],
  ])('is %s', (phase, seen) => {
    expect(phaseOf(seen)).toBe(phase);
  });
});

describe('progress', () => {
  it.each<[string, JobStats, number, number]>([
    ['counts memory', stats({ total: 100, remaining: 60 }), 0, 0.4],
    ['counts disks before memory was counted', stats({}, { total: 300, remaining: 150 }), 0, 0.375],
    ['counts both', stats({ total: 100, remaining: 100 }, { total: 100, remaining: 0 }), 0, 0.5],
    ['never goes back', stats({ total: 100, remaining: 90 }), 0.7, 0.7],
    ['is never all', stats({ total: 100, remaining: 0 }), 0.2, 0.99],
    ['stays when nothing is known', { ...stats({}), memory: { ...stats({}).memory } }, 0.3, 0.3],
  ])('%s', (_title, seen, before, expected) => {
    expect(progressOf(seen, 100, before)).toBeCloseTo(expected);
  });

  it('stays where nothing is to be sent', () => {
    expect(progressOf(stats({}), 0, 0.3)).toBe(0.3);
  });
});

describe('the prediction', () => {
  it.each<[string, JobStats, number | null]>([
    ['is what remains at this pace', stats({ total: 100, remaining: 50, bytesPerSecond: 100, iteration: 1, dirtyBytesPerSecond: 90 }), 500],
    ['counts what changes, from the second pass on', stats({ total: 100, remaining: 50, bytesPerSecond: 100, iteration: 2, dirtyBytesPerSecond: 50 }), 1000],
    ['is none when it would not end', stats({ total: 100, remaining: 50, bytesPerSecond: 100, iteration: 2, dirtyBytesPerSecond: 100 }), null],
    ['is none without a pace', stats({ total: 100, remaining: 50 }), null],
    ['is nothing when nothing remains', stats({ total: 100 }), 0],
    ['is that of the disks while they are copied', stats({}, { total: 100, remaining: 25, bytesPerSecond: 50 }), 500],
  ])('%s', (_title, seen, expected) => {
    expect(predictMs(seen)).toBe(expected);
  });
});

describe('what stays of a migration that has succeeded', () => {
  it('is what was sent in all, with nothing left', () => {
    expect(countsOf(readStats(SENT))).toEqual({ memoryTotal: 286_064_640n, memoryTransferred: 91_226_112n, memoryRemaining: 0n, iteration: 2, downtimeMs: 300 });
  });

  it('keeps silent of what libvirt does not say', () => {
    const { disksTransferred, downtimeMs } = { disksTransferred: null, downtimeMs: null, ...countsOf(stats({ total: MIB })) };
    expect({ disksTransferred, downtimeMs }).toEqual({ disksTransferred: null, downtimeMs: null });
  });
});
