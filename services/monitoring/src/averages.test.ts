import type { VmSample } from '@novacron/contracts';
import { newId } from '@novacron/core';
import { describe, expect, it } from 'vitest';
import { averageOf } from './averages.ts';

const SAMPLE: VmSample = {
  vmId: newId(),
  tenantId: newId(),
  hostId: newId(),
  at: '2026-11-20T12:00:00.000Z',
  cpu: 0.2,
  memoryUsed: 100,
  memoryTotal: 200,
  diskReadBytesPerSecond: 10,
  diskWriteBytesPerSecond: 20,
  netReceiveBytesPerSecond: 30,
  netTransmitBytesPerSecond: 40,
};
const LATER = { ...SAMPLE, at: '2026-11-20T12:00:01.000Z', cpu: 0.6, memoryUsed: 101, memoryTotal: 300, diskReadBytesPerSecond: 30 };

describe('averageOf', () => {
  it.each([
    ['one sample is its own average', [SAMPLE], SAMPLE],
    ['two are averaged, as of the last', [SAMPLE, LATER], { ...LATER, cpu: 0.4, memoryUsed: 101, diskReadBytesPerSecond: 20 }],
    ['memory is averaged over those that know it', [{ ...SAMPLE, memoryUsed: null }, SAMPLE], SAMPLE],
    ['and unknown when none does', [{ ...SAMPLE, memoryUsed: null }], { ...SAMPLE, memoryUsed: null }],
  ])('%s', (_name, samples, expected) => {
    expect(averageOf(samples)).toEqual(expected);
  });

  it('refuses nothing', () => {
    expect(() => averageOf([])).toThrow(RangeError);
  });
});
