import type { HostSample, VmSample } from '@novacron/contracts';
import type { HostId, VmId } from '@novacron/core';
import { LibvirtError, LIST_DOMAINS, STATS, type Connection, type DomainStats, type StatsGroup } from '@novacron/libvirt';
import { DomainTenants, isOurs } from './domain-tenants.ts';
import type { Round } from './latest-samples.ts';
import { advance, hostCpuShare, hostMemory, type Baseline, type HostCpuTimes } from './rates.ts';
import { readDomain } from './readings.ts';

const EACH_ROUND: readonly StatsGroup[] = ['state', 'cpu', 'vcpu', 'interface', 'block'];
const WITH_MEMORY: readonly StatsGroup[] = [...EACH_ROUND, 'balloon'];
/** Memory is asked for less often: its answer waits for every guest's monitor. */
const MEMORY_INTERVAL_MS = 5_000;
/** Running domains only; of one that is busy, what can be told without waiting for it. */
const STATS_FLAGS = LIST_DOMAINS.ACTIVE | STATS.NOWAIT;
/** A round that takes longer than this is given up. */
const DEADLINE = { deadlineMs: 10_000 };

/** Turns what libvirt counts on one host into samples, by comparing each round with the one before. */
export class HostSampler {
  readonly #hostId: HostId;
  readonly #tenants = new DomainTenants();
  #baselines: ReadonlyMap<string, Baseline> = new Map();
  #cpuTimes: HostCpuTimes | null = null;
  #memoryReadAtMs = -Infinity;

  constructor(hostId: HostId) {
    this.#hostId = hostId;
  }

  /**
   * One round. A VM has its first sample in the second round after it was started, and the host in the second of
   * all. Rejects with a ClientError of libvirt; the next round then goes on from the last that succeeded.
   */
  async take(connection: Connection): Promise<Round> {
    const [domains, takenAtMs] = await this.#readDomains(connection);
    const ours = domains.filter(({ domain }) => isOurs(domain));
    const tenants = await this.#tenants.of(connection, ours.map(({ domain }) => domain), DEADLINE.deadlineMs);
    const at = new Date().toISOString();
    const baselines = new Map<string, Baseline>();
    const vms: VmSample[] = [];
    let vmsRunning = 0;
    for (const stats of domains) {
      const { uuid } = stats.domain;
      const reading = readDomain(stats, takenAtMs);
      if (reading.running) vmsRunning++;
      const tenantId = tenants.get(uuid);
      const step = tenantId === undefined ? null : advance(this.#baselines.get(uuid) ?? null, reading);
      if (tenantId === undefined || step === null) continue;
      baselines.set(uuid, step.baseline);
      if (step.rates) vms.push({ vmId: uuid as VmId, tenantId, hostId: this.#hostId, at, ...step.rates }); // the UUID of a domain of ours is the VM's id
    }
    const gone = [...this.#baselines.keys()].filter((uuid) => !baselines.has(uuid));
    this.#baselines = baselines;
    return { vms, gone, host: await this.#sampleHost(connection, vmsRunning) };
  }

  /** The moment of a reading is taken as the middle of the call: the counters were read somewhere within it. */
  async #readDomains(connection: Connection): Promise<[DomainStats[], number]> {
    const askedAtMs = performance.now();
    const newcomers = this.#baselines.values().some(({ memory }) => memory === null); // no sample of them without it
    const withMemory = newcomers || askedAtMs - this.#memoryReadAtMs >= MEMORY_INTERVAL_MS;
    const domains = await connection.domains.stats([], withMemory ? WITH_MEMORY : EACH_ROUND, STATS_FLAGS, DEADLINE);
    if (withMemory) this.#memoryReadAtMs = askedAtMs;
    return [domains, (askedAtMs + performance.now()) / 2];
  }

  async #sampleHost(connection: Connection, vmsRunning: number): Promise<HostSample | null> {
    try {
      const cpuTimes = await connection.node.cpuStats(undefined, DEADLINE);
      const memory = hostMemory(await connection.node.memoryStats(undefined, DEADLINE));
      const cpu = hostCpuShare(this.#cpuTimes, cpuTimes);
      this.#cpuTimes = cpuTimes;
      if (cpu === null || memory === null) return null;
      const at = new Date().toISOString();
      return { hostId: this.#hostId, at, cpu, memoryUsed: memory.used, memoryTotal: memory.total, vmsRunning };
    } catch (error) {
      if (error instanceof LibvirtError && error.is('NO_SUPPORT')) return null; // a driver that does not measure its host
      throw error;
    }
  }
}
