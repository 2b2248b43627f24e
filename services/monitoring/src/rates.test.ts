import { describe, expect, it } from 'vitest';
import { advance, hostCpuShare, hostMemory, type Baseline, type VmRates } from './rates.ts';
import type { DomainReading } from './readings.ts';

const SECOND_NS = 1e9;
const disks = (read: number, written: number) => new Map([['vda', { in: read, out: written }]]);
const networks = (received: number, sent: number, name = 'vnet0') => new Map([[name, { in: received, out: sent }]]);

const FIRST: DomainReading = {
  takenAtMs: 10_000,
  instance: 1,
  running: true,
  cpu: { timeNs: 5 * SECOND_NS, vcpus: 2 },
  memory: { used: 100, total: 200 },
  networks: networks(1_000, 2_000),
  disks: disks(3_000, 4_000),
};
/** One second on: one of two CPUs busy, and some bytes. */
const SECOND: DomainReading = {
  ...FIRST,
  takenAtMs: 11_000,
  cpu: { timeNs: 6 * SECOND_NS, vcpus: 2 },
  networks: networks(1_500, 2_250),
  disks: disks(3_100, 4_200),
};
const RATES: VmRates = {
  cpu: 0.5,
  memoryUsed: 100,
  memoryTotal: 200,
  diskReadBytesPerSecond: 100,
  diskWriteBytesPerSecond: 200,
  netReceiveBytesPerSecond: 500,
  netTransmitBytesPerSecond: 250,
};

function ratesOver(...readings: DomainReading[]): VmRates | null | undefined {
  let baseline: Baseline | null = null;
  let rates: VmRates | null | undefined;
  for (const reading of readings) {
    const step = advance(baseline, reading);
    baseline = step?.baseline ?? null;
    rates = step?.rates;
  }
  return rates;
}

describe('advance', () => {
  it.each<[string, DomainReading[], Partial<VmRates>]>([
    ['the second reading', [FIRST, SECOND], RATES],
    ['a round that came late is divided by its own time', [FIRST, { ...SECOND, takenAtMs: 12_000 }], { cpu: 0.25, diskReadBytesPerSecond: 50 }],
    ['and then goes on', [FIRST, { ...FIRST, instance: 2 }, { ...SECOND, instance: 2 }], RATES],
    ['more CPU time than there are CPUs: emulator threads', [FIRST, { ...SECOND, cpu: { timeNs: 9 * SECOND_NS, vcpus: 2 } }], { cpu: 1 }],
    ['a CPU was added', [FIRST, { ...SECOND, cpu: { timeNs: 6 * SECOND_NS, vcpus: 4 } }], { cpu: 0.25 }],
    ['a paused guest', [FIRST, { ...FIRST, takenAtMs: 11_000, running: false }], { cpu: 0, netReceiveBytesPerSecond: 0 }],
    ['a disk whose counters were set to zero', [FIRST, { ...SECOND, disks: disks(70, 4_200) }], { diskReadBytesPerSecond: 70, diskWriteBytesPerSecond: 200 }],
    ['a network card was changed for another', [FIRST, { ...SECOND, networks: networks(40, 8, 'vnet1') }], { netReceiveBytesPerSecond: 40, netTransmitBytesPerSecond: 8 }],
    ['a network card was taken out', [FIRST, { ...SECOND, networks: new Map() }], { netReceiveBytesPerSecond: 0 }],
    ['a busy guest repeats what is known of its disks', [FIRST, SECOND, { ...SECOND, takenAtMs: 12_000, disks: null }], { diskReadBytesPerSecond: 100 }],
    [
      'and counts over all that time once it is free again',
      [FIRST, SECOND, { ...SECOND, takenAtMs: 12_000, disks: null }, { ...SECOND, takenAtMs: 13_000, disks: disks(3_500, 4_200) }],
      { diskReadBytesPerSecond: 200, diskWriteBytesPerSecond: 0 },
    ],
    ['a guest that was busy from the start', [{ ...FIRST, disks: null }, { ...SECOND, disks: null }], { diskReadBytesPerSecond: 0 }],
    ['disks first seen later', [{ ...FIRST, disks: null }, SECOND], { diskReadBytesPerSecond: 0 }],
    ['memory is remembered between the rounds that ask for it', [FIRST, { ...SECOND, memory: null }], { memoryUsed: 100, memoryTotal: 200 }],
  ])('%s', (_name, readings, expected) => {
    expect(ratesOver(...readings)).toMatchObject(expected);
  });

  it.each<[string, DomainReading[], null | undefined]>([
    ['the first reading', [FIRST], null],
    ['the clock stood still', [FIRST, { ...SECOND, takenAtMs: 10_000 }], null],
    ['the clock went back', [FIRST, { ...SECOND, takenAtMs: 9_000 }], null],
    ['the domain was started again', [FIRST, { ...SECOND, instance: 2 }], null],
    ['CPU time went back', [FIRST, { ...SECOND, cpu: { timeNs: 1, vcpus: 2 } }], null],
    ['memory that was never known', [{ ...FIRST, memory: null }, { ...SECOND, memory: null }], null],
    ['a driver that does not count CPU time', [FIRST, { ...SECOND, cpu: null }], undefined],
  ])('no rates: %s', (_name, readings, expected) => {
    expect(ratesOver(...readings)).toBe(expected);
  });
});

describe('hostCpuShare', () => {
  const before = { kernel: 10n, user: 20n, idle: 60n, iowait: 10n };
  it.each([
    ['nothing to compare with', null, before, null],
    ['half of the time idle or waiting', before, { kernel: 30n, user: 50n, idle: 100n, iowait: 20n }, 0.5],
    ['all idle', before, { ...before, idle: 160n }, 0],
    ['all busy', before, { ...before, user: 120n }, 1],
    ['the counters stood', before, before, null],
    ['the host was started again', before, { kernel: 1n, user: 1n, idle: 1n, iowait: 1n }, null],
    ['iowait may go back (proc(5))', before, { kernel: 20n, user: 20n, idle: 60n, iowait: 9n }, 1],
    ['a field that was not there before', {}, { user: 1n, idle: 3n }, 0.25],
  ])('%s', (_name, earlier, now, expected) => {
    expect(hostCpuShare(earlier, now)).toBe(expected);
  });
});

describe('hostMemory', () => {
  it.each([
    ['buffers and caches are not in use', { total: 100, free: 20, buffers: 10, cached: 30 }, { total: 102_400, used: 40 * 1024 }],
    ['a hypervisor that knows less', { total: 100, free: 20 }, { total: 102_400, used: 80 * 1024 }],
    ['more cached than there is', { total: 100, free: 90, cached: 30 }, { total: 102_400, used: 0 }],
    ['no total', { free: 3 }, null],
  ])('%s', (_name, kibibytes, expected) => {
    expect(hostMemory(kibibytes)).toEqual(expected);
  });
});
