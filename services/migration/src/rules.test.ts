import { describe, expect, it } from 'vitest';
import { checkBandwidth, checkMode, isEncrypted, isOver, mibPerSecond, modeFor, UNLIMITED_MIB_PER_SECOND } from './rules.ts';

const MIB = 2 ** 20;
const refusedWith = (field: string) => expect.objectContaining({ code: 'BAD_USER_INPUT', field });

describe('a bandwidth', () => {
  it.each([
    [null, null],
    [undefined, null],
    [MIB, BigInt(MIB)],
    [2.5 * MIB, BigInt(2.5 * MIB)],
  ])('%s is taken', (given, taken) => {
    expect(checkBandwidth(given)).toBe(taken);
  });

  it.each([0, -1, MIB - 1, 2 ** 44, Number.NaN, Number.POSITIVE_INFINITY])('%s is refused', (given) => {
    expect(() => checkBandwidth(given)).toThrow(refusedWith('bandwidthBytesPerSecond'));
  });

  it.each([
    [null, UNLIMITED_MIB_PER_SECOND],
    [BigInt(MIB), 1],
    [BigInt(3 * MIB - 1), 2],
  ])('of %s becomes %s MiB a second, never more', (bytes, mib) => {
    expect(mibPerSecond(bytes)).toBe(mib);
  });

  it("without a limit is libvirt's own", () => {
    expect(UNLIMITED_MIB_PER_SECOND).toBe(8_796_093_022_207);
  });
});

describe('a mode', () => {
  it('is LIVE unless told', () => {
    expect([checkMode(null), checkMode(undefined), checkMode('LIVE'), checkMode('OFFLINE')]).toEqual(['LIVE', 'LIVE', 'LIVE', 'OFFLINE']);
  });

  it.each(['live', 'POSTCOPY', ''])('"%s" is none', (mode) => {
    expect(() => checkMode(mode)).toThrow(refusedWith('mode'));
  });

  it.each([
    ['RUNNING', 'LIVE'],
    ['PAUSED', 'LIVE'],
    ['STOPPED', 'OFFLINE'],
    ['CRASHED', 'OFFLINE'],
    ['STARTING', null],
    ['ERROR', null],
    ['UNKNOWN', null],
  ] as const)('for what is %s is %s', (state, mode) => {
    expect(modeFor(state)).toBe(mode);
  });
});

it('knows which states are final', () => {
  expect((['QUEUED', 'CANCELLING', 'COMPLETING', 'SUCCEEDED', 'FAILED', 'CANCELLED', 'ROLLED_BACK'] as const).filter(isOver)).toEqual(['SUCCEEDED', 'FAILED', 'CANCELLED', 'ROLLED_BACK']);
});

it.each([
  ['qemu+tls://hv2/system', true],
  ['qemu://hv2/system', true],
  ['qemu+tcp://10.0.0.2/system', false],
  ['qemu+ssh://root@hv2/system', false],
  ['qemu+unix:///system?socket=/run/hv2/libvirt-sock', false],
])('memory goes to %s encrypted: %s', (uri, encrypted) => {
  expect(isEncrypted(uri)).toBe(encrypted);
});
