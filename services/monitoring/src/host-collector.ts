import type { HostAgent, HostAttachment } from '@novacron/agent';
import type { VmSample } from '@novacron/contracts';
import { ConnectionLost, type Connection } from '@novacron/libvirt';
import type { Logger } from 'pino';
import { averageOf } from './averages.ts';
import { HostSampler } from './host-sampler.ts';
import type { LatestSamples } from './latest-samples.ts';
import type { SampleStore } from './store.ts';

export interface CollectorOptions {
  latest: LatestSamples;
  store: SampleStore;
  logger: Logger;
  sampleIntervalMs: number;
  historyIntervalMs: number;
}

/** Measures one host and its VMs, round by round, for as long as its agent serves it. */
export class HostCollector implements HostAttachment {
  readonly #agent: HostAgent;
  readonly #options: CollectorOptions;
  readonly #logger: Logger;
  readonly #sampler: HostSampler;
  readonly #timer: ReturnType<typeof setInterval>;
  /** Since the last rows were written, by VM. */
  #kept = new Map<string, VmSample[]>();
  #keptSinceMs = performance.now();
  #failing = false;
  #round: Promise<void> | null = null;
  #publishing: Promise<void> | null = null;
  #storing: Promise<void> | null = null;

  constructor(agent: HostAgent, options: CollectorOptions) {
    this.#agent = agent;
    this.#options = options;
    this.#logger = options.logger.child({ hostId: agent.host.id, host: agent.host.name });
    this.#sampler = new HostSampler(agent.host.id);
    this.#timer = setInterval(() => this.#tick(), options.sampleIntervalMs);
    agent.signal.addEventListener('abort', this.#stop, { once: true });
    if (agent.signal.aborted) this.#stop();
  }

  /** Resolves when nothing is under way any more. */
  async close(): Promise<void> {
    this.#stop();
    await this.#round;
    await Promise.all([this.#publishing, this.#storing]);
  }

  readonly #stop = (): void => {
    clearInterval(this.#timer);
    this.#agent.signal.removeEventListener('abort', this.#stop);
  };

  /** A round that is due while the one before still runs is left out: a slow host is asked less often. */
  #tick(): void {
    const connection = this.#agent.connected;
    if (connection === null || this.#round !== null) return;
    this.#round = this.#run(connection).finally(() => {
      this.#round = null;
    });
  }

  async #run(connection: Connection): Promise<void> {
    try {
      const round = await this.#sampler.take(connection);
      this.#failing = false;
      if (this.#agent.signal.aborted) return; // the host is another's by now
      this.#publishing ??= this.#options.latest.publish(round).finally(() => {
        this.#publishing = null;
      });
      this.#keep(round.vms);
    } catch (error) {
      // The agent tells of lost connections. Of other faults the first is told: each round would repeat it.
      if (error instanceof ConnectionLost) return;
      if (!this.#failing) this.#logger.warn({ err: error }, 'the host could not be measured; trying again');
      this.#failing = true;
    }
  }

  #keep(samples: readonly VmSample[]): void {
    for (const sample of samples) {
      const kept = this.#kept.get(sample.vmId);
      if (kept) kept.push(sample);
      else this.#kept.set(sample.vmId, [sample]);
    }
    if (performance.now() - this.#keptSinceMs < this.#options.historyIntervalMs || this.#storing !== null) return;
    const averages = [...this.#kept.values()].map(averageOf);
    this.#kept = new Map();
    this.#keptSinceMs = performance.now();
    this.#storing = this.#options.store
      .add(averages)
      .catch((error: unknown) => this.#logger.warn({ err: error, vms: averages.length }, 'samples could not be kept; history has a gap'))
      .finally(() => {
        this.#storing = null;
      });
  }
}
