import type { DomainStats, TypedParams, TypedValue } from '@novacron/libvirt';

/** Bytes that a device has moved since it is there. */
export interface DeviceBytes {
  in: number;
  out: number;
}

/** By the device's name; null when the hypervisor could not say this time. */
export type Devices = ReadonlyMap<string, DeviceBytes> | null;

/** What libvirt said of one running domain in one round, in our units. */
export interface DomainReading {
  /** When it was read, on a clock that only goes forward (performance.now). */
  takenAtMs: number;
  /** The number of the running instance: another one means that the domain was started again. */
  instance: number;
  running: boolean;
  /** Nanoseconds since it was started, and over how many virtual CPUs; null where the hypervisor does not count. */
  cpu: { timeNs: number; vcpus: number } | null;
  /** Bytes; `used` is null until the guest's balloon driver reports. Null in rounds that did not ask. */
  memory: { used: number | null; total: number } | null;
  networks: Devices;
  disks: Devices;
}

/** virDomainState. Source: libvirt 9.0.0 include/libvirt/libvirt-domain.h. */
const RUNNING_STATES: ReadonlySet<number> = new Set([1 /* running */, 2 /* blocked */]);

/** Counters of bytes and nanoseconds stay exact up to 2^53: 8 PiB, 104 days of one CPU; beyond, a millionth is lost. */
function numberOf(value: TypedValue | undefined): number | null {
  return typeof value === 'bigint' || typeof value === 'number' ? Number(value) : null;
}

function readDevices(params: TypedParams, group: 'net' | 'block', counters: { in: string; out: string }): Devices {
  const count = numberOf(params[`${group}.count`]) ?? 0;
  const devices = new Map<string, DeviceBytes>();
  for (let index = 0; index < count; index++) {
    const received = numberOf(params[`${group}.${index}.${counters.in}`]);
    const sent = numberOf(params[`${group}.${index}.${counters.out}`]);
    if (received === null || sent === null) continue;
    devices.set(String(params[`${group}.${index}.name`] ?? index), { in: received, out: sent });
  }
  // A domain that is busy with something else lists its disks without their counters (STATS.NOWAIT).
  return count > 0 && devices.size === 0 ? null : devices;
}

/** The guest's total less what it could still give away: what `free` calls available, or else merely free. */
function readMemory(params: TypedParams): DomainReading['memory'] {
  const kibibytes = (name: string): number | null => {
    const value = numberOf(params[`balloon.${name}`]);
    return value === null ? null : value * 1024;
  };
  const total = kibibytes('current');
  if (total === null) return null;
  const available = kibibytes('available');
  const left = kibibytes('usable') ?? kibibytes('unused');
  return { total, used: available === null || left === null ? null : Math.max(available - left, 0) };
}

/** Names of the parameters: libvirt 9.0.0 src/libvirt-domain.c, virConnectGetAllDomainStats. */
export function readDomain({ domain, params }: DomainStats, takenAtMs: number): DomainReading {
  const timeNs = numberOf(params['cpu.time']);
  const vcpus = numberOf(params['vcpu.current']);
  return {
    takenAtMs,
    instance: domain.id,
    running: RUNNING_STATES.has(Number(params['state.state'])),
    cpu: timeNs === null || vcpus === null || vcpus === 0 ? null : { timeNs, vcpus },
    memory: readMemory(params),
    networks: readDevices(params, 'net', { in: 'rx.bytes', out: 'tx.bytes' }),
    disks: readDevices(params, 'block', { in: 'rd.bytes', out: 'wr.bytes' }),
  };
}
