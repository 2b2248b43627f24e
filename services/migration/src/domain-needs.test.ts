import { describe, expect, it } from 'vitest';
import { blockersOf, needsOf, supportsCpuMode } from './domain-needs.ts';

const OURS = "<metadata><nc:vm xmlns:nc='urn:novacron:domain:1' tenant='t' definition='d'/></metadata>";
const domain = ({ metadata = OURS, cpu = "<cpu mode='maximum' check='none' migratable='on'/>", devices = '' } = {}): string => `<domain type='qemu' id='3'>
  <name>nc-x</name>${metadata}
  <os><type arch='x86_64' machine='pc-q35-7.2'>hvm</type></os>
  ${cpu}
  <devices><emulator>/usr/bin/qemu-system-x86_64</emulator>${devices}</devices>
</domain>`;
const DISK = "<disk type='volume' device='disk'><source pool='nc-fast' volume='v.qcow2' index='1'/><target dev='vda' bus='virtio'/></disk>";
const SEED = "<disk type='volume' device='disk'><source pool='nc-fast' volume='s.iso'/><target dev='vdz' bus='virtio'/><readonly/></disk>";
const NIC = "<interface type='network'><source network='nc-1' portid='p' bridge='nc-1'/></interface>";
const MODEL = "<cpu mode='custom' match='exact' check='full'><model fallback='forbid'>qemu64</model><feature policy='require' name='x2apic'/></cpu>";

describe('what a domain needs', () => {
  it('is its machine, its pools and its networks', () => {
    expect(needsOf(domain({ devices: DISK + SEED + NIC + NIC }), 7_002_022)).toEqual({
      virtType: 'qemu',
      arch: 'x86_64',
      machine: 'pc-q35-7.2',
      emulator: '/usr/bin/qemu-system-x86_64',
      cpu: { mode: 'maximum', xml: null },
      pools: ['nc-fast'],
      networks: ['nc-1'],
      disks: ['vda'],
      hypervisorVersion: 7_002_022,
    });
  });

  it('is its CPU, where that is a model', () => {
    expect(needsOf(domain({ cpu: MODEL }), 0).cpu).toEqual({ mode: 'custom', xml: MODEL });
  });
});

describe('what keeps a domain where it is', () => {
  it.each<[string, string, RegExp[]]>([
    ['nothing', domain({ devices: DISK + SEED + NIC }), []],
    ['an empty CD drive does not', domain({ devices: "<disk type='file' device='cdrom'><target dev='sda'/></disk>" }), []],
    ['an inserted CD', domain({ devices: "<disk type='file' device='cdrom'><source file='/x.iso'/></disk>" }), [/medium/]],
    ['a device of the host', domain({ devices: "<hostdev mode='subsystem' type='pci'/>" }), [/device of its host/]],
    ['a shared directory', domain({ devices: "<filesystem type='mount'/>" }), [/shares files/]],
    ['a disk in no pool', domain({ devices: "<disk type='file' device='disk'><source file='/x.img'/><target dev='vda'/></disk>" }), [/no storage pool/]],
    ['that it is not ours', domain({ metadata: '' }), [/not one of NovaCron/]],
  ])('%s', (_title, xml, expected) => {
    expect(blockersOf(xml)).toEqual(expected.map((pattern) => expect.stringMatching(pattern)));
  });

  it('is UNAVAILABLE where it can not be read', () => {
    expect(() => blockersOf('<domain')).toThrow(expect.objectContaining({ code: 'UNAVAILABLE' }));
  });
});

it('reads the CPU modes that a host has', () => {
  const capabilities = "<cpu><mode name='host-passthrough' supported='no'/><mode name='maximum' supported='yes'><enum/></mode></cpu>";
  expect(supportsCpuMode(capabilities, 'maximum')).toBe(true);
  expect(supportsCpuMode(capabilities, 'host-passthrough')).toBe(false);
  expect(supportsCpuMode('<cpu/>', 'maximum')).toBe(false);
});
