import type { VmSample } from '@novacron/contracts';
import type { DeviceBytes, Devices, DomainReading } from './readings.ts';

/** The part of a sample that is measured. */
export type VmRates = Omit<VmSample, 'vmId' | 'tenantId' | 'hostId' | 'at'>;

interface DeviceCounters {
  takenAtMs: number;
  devices: ReadonlyMap<string, DeviceBytes>;
}

/** What the next reading is compared with. What one round could not read stays from an older one. */
export interface Baseline {
  instance: number;
  cpu: { takenAtMs: number; timeNs: number };
  memory: { used: number | null; total: number } | null;
  networks: DeviceCounters | null;
  disks: DeviceCounters | null;
  networkRate: DeviceBytes;
  diskRate: DeviceBytes;
}

const clampShare = (share: number): number => Math.min(Math.max(share, 0), 1);

const NOTHING: DeviceBytes = { in: 0, out: 0 };

/** Bytes per second over all devices. A counter that went back was set to zero: what it shows has come since. */
function rateOf(before: DeviceCounters, now: DeviceCounters): DeviceBytes {
  const seconds = (now.takenAtMs - before.takenAtMs) / 1000;
  if (seconds <= 0) return NOTHING;
  const since = (from: number | undefined, to: number): number => (from === undefined || to < from ? to : to - from);
  const moved = { in: 0, out: 0 };
  for (const [name, bytes] of now.devices) {
    const earlier = before.devices.get(name);
    moved.in += since(earlier?.in, bytes.in);
    moved.out += since(earlier?.out, bytes.out);
  }
  return { in: moved.in / seconds, out: moved.out / seconds };
}

/** A round that could not read the devices repeats what was last known of them. */
function advanceDevices(before: DeviceCounters | null, last: DeviceBytes, devices: Devices, takenAtMs: number) {
  if (devices === null) return { counters: before, rate: last };
  const counters = { takenAtMs, devices };
  return { counters, rate: before === null ? NOTHING : rateOf(before, counters) };
}

/**
 * One round further: what to compare the next reading with, and the rates since the one before. No rates from the
 * first reading of a running instance, nor where CPU time went back, nor before the memory is known.
 */
export function advance(before: Baseline | null, reading: DomainReading): { baseline: Baseline; rates: VmRates | null } | null {
  if (reading.cpu === null) return null;
  const { takenAtMs, instance, cpu } = reading;
  const earlier = before?.instance === instance ? before : null;
  const networks = advanceDevices(earlier?.networks ?? null, earlier?.networkRate ?? NOTHING, reading.networks, takenAtMs);
  const disks = advanceDevices(earlier?.disks ?? null, earlier?.diskRate ?? NOTHING, reading.disks, takenAtMs);
  const baseline: Baseline = {
    instance,
    cpu: { takenAtMs, timeNs: cpu.timeNs },
    memory: reading.memory ?? earlier?.memory ?? null,
    networks: networks.counters,
    disks: disks.counters,
    networkRate: networks.rate,
    diskRate: disks.rate,
  };
  const elapsedMs = earlier === null ? 0 : takenAtMs - earlier.cpu.takenAtMs;
  const usedNs = earlier === null ? -1 : cpu.timeNs - earlier.cpu.timeNs;
  if (elapsedMs <= 0 || usedNs < 0 || baseline.memory === null) return { baseline, rates: null };
  return {
    baseline,
    rates: {
      cpu: clampShare(usedNs / (elapsedMs * 1e6 * cpu.vcpus)),
      memoryUsed: baseline.memory.used,
      memoryTotal: baseline.memory.total,
      diskReadBytesPerSecond: disks.rate.in,
      diskWriteBytesPerSecond: disks.rate.out,
      netReceiveBytesPerSecond: networks.rate.in,
      netTransmitBytesPerSecond: networks.rate.out,
    },
  };
}

/** Nanoseconds by what the host's CPUs did, as libvirt counts them. */
export type HostCpuTimes = Readonly<Record<string, bigint>>;

const IDLE_FIELDS: ReadonlySet<string> = new Set(['idle', 'iowait']);

/** Share of the host's CPUs in use between two readings, 0..1; null when the clock of the counters stood or went back. */
export function hostCpuShare(before: HostCpuTimes | null, now: HostCpuTimes): number | null {
  if (before === null) return null;
  let total = 0;
  let idle = 0;
  for (const [field, time] of Object.entries(now)) {
    const spent = Number(time - (before[field] ?? 0n));
    total += spent;
    if (IDLE_FIELDS.has(field)) idle += spent;
  }
  return total > 0 ? clampShare(1 - idle / total) : null;
}

/** Bytes from libvirt's KiB; buffers and caches are given back when somebody needs them. Null without a total. */
export function hostMemory(kibibytes: Readonly<Record<string, number>>): { used: number; total: number } | null {
  const { total, free = 0, buffers = 0, cached = 0 } = kibibytes;
  if (total === undefined) return null;
  return { total: total * 1024, used: Math.max(total - free - buffers - cached, 0) * 1024 };
}
