import type { TypedParams } from '@novacron/libvirt';
import { describe, expect, it } from 'vitest';
import { readDomain } from './readings.ts';

const RUNNING = { 'state.state': 1, 'cpu.time': 2_018_225_501n, 'vcpu.current': 2, 'net.count': 0, 'block.count': 0 };
const read = (params: TypedParams) => readDomain({ domain: { name: 'nc-x', uuid: 'x', id: 7 }, params }, 1_000);

describe('readDomain', () => {
  it('reads what QEMU says of a running guest', () => {
    const reading = read({
      ...RUNNING,
      'balloon.current': 98_304n,
      'balloon.available': 62_032n,
      'balloon.unused': 31_988n,
      'balloon.usable': 38_468n,
      'net.count': 1,
      'net.0.name': 'vnet0',
      'net.0.rx.bytes': 516n,
      'net.0.tx.bytes': 266n,
      'block.count': 1,
      'block.0.name': 'vda',
      'block.0.rd.bytes': 4096n,
      'block.0.wr.bytes': 512n,
    });
    expect(reading).toEqual({
      takenAtMs: 1_000,
      instance: 7,
      running: true,
      cpu: { timeNs: 2_018_225_501, vcpus: 2 },
      memory: { total: 98_304 * 1024, used: (62_032 - 38_468) * 1024 },
      networks: new Map([['vnet0', { in: 516, out: 266 }]]),
      disks: new Map([['vda', { in: 4096, out: 512 }]]),
    });
  });

  it.each<[string, TypedParams, Partial<ReturnType<typeof read>>]>([
    ['a guest that was not asked for its memory', RUNNING, { memory: null }],
    ['a guest without a balloon driver', { ...RUNNING, 'balloon.current': 1024n }, { memory: { total: 2 ** 20, used: null } }],
    [
      'an old guest that knows free memory only',
      { ...RUNNING, 'balloon.current': 1024n, 'balloon.available': 1000n, 'balloon.unused': 400n },
      { memory: { total: 2 ** 20, used: 600 * 1024 } },
    ],
    [
      'more usable than there is',
      { ...RUNNING, 'balloon.current': 1024n, 'balloon.available': 1000n, 'balloon.usable': 1001n },
      { memory: { total: 2 ** 20, used: 0 } },
    ],
    ['a paused guest', { ...RUNNING, 'state.state': 3 }, { running: false }],
    ['a guest that is idle in its hypervisor', { ...RUNNING, 'state.state': 2 }, { running: true }],
    ['a driver that counts nothing', { 'state.state': 1 }, { cpu: null, networks: new Map(), disks: new Map() }],
    ['a busy guest, its disks without counters', { ...RUNNING, 'block.count': 1, 'block.0.name': 'vda' }, { disks: null }],
    [
      'one of two disks without counters',
      { ...RUNNING, 'block.count': 2, 'block.0.name': 'vda', 'block.1.rd.bytes': 1n, 'block.1.wr.bytes': 2n },
      { disks: new Map([['1', { in: 1, out: 2 }]]) },
    ],
    ['no virtual CPU', { ...RUNNING, 'vcpu.current': 0 }, { cpu: null }],
  ])('%s', (_name, params, expected) => {
    expect(read(params)).toMatchObject(expected);
  });
});
