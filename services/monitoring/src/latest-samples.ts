import { HOST_METRICS_CHANNEL, VM_METRICS_CHANNEL, type HostSample, type VmSample } from '@novacron/contracts';
import { DomainError } from '@novacron/core';
import type { Redis } from 'ioredis';
import type { Logger } from 'pino';
import { isFresh } from './rules.ts';

/** Hashes of the newest sample by id, as JSON. */
const KEYS = { vm: 'novacron.latest.vm', host: 'novacron.latest.host' } as const;
const SCAN_COUNT = 500;

/** What one round on one host found. */
export interface Round {
  vms: readonly VmSample[];
  /** VMs that were sampled before and are no more. */
  gone: readonly string[];
  host: HostSample | null;
}

/** The newest sample of each VM and host, in Redis; and the channels on which each new one is told. */
export class LatestSamples {
  readonly #redis: Redis;
  readonly #logger: Logger;
  #away = false;

  constructor(redis: Redis, logger: Logger) {
    this.#redis = redis;
    this.#logger = logger;
  }

  /** Keeps a round and tells it. While Redis is away rounds are dropped: the next one says all that matters. Never rejects. */
  async publish({ vms, gone, host }: Round): Promise<void> {
    try {
      if (this.#redis.status !== 'ready') throw new Error(`the connection is ${this.#redis.status}`);
      const commands: Promise<unknown>[] = [];
      if (gone.length > 0) commands.push(this.#redis.hdel(KEYS.vm, ...gone));
      if (vms.length > 0) {
        commands.push(
          this.#redis.hset(KEYS.vm, Object.fromEntries(vms.map((sample) => [sample.vmId, JSON.stringify(sample)]))),
          this.#redis.publish(VM_METRICS_CHANNEL, JSON.stringify(vms)),
        );
      }
      if (host !== null) {
        commands.push(
          this.#redis.hset(KEYS.host, host.hostId, JSON.stringify(host)),
          this.#redis.publish(HOST_METRICS_CHANNEL, JSON.stringify([host])),
        );
      }
      await Promise.all(commands);
      this.#away = false;
    } catch (error) {
      if (!this.#away) this.#logger.warn({ err: error }, 'samples are dropped while Redis is away');
      this.#away = true;
    }
  }

  vms(ids: readonly string[]): Promise<(VmSample | null)[]> {
    return this.#read<VmSample>(KEYS.vm, ids);
  }

  hosts(ids: readonly string[]): Promise<(HostSample | null)[]> {
    return this.#read<HostSample>(KEYS.host, ids);
  }

  /** In the order of the ids; null for what has no fresh sample. UNAVAILABLE while Redis is away. */
  async #read<Sample extends { at: string }>(key: string, ids: readonly string[]): Promise<(Sample | null)[]> {
    let texts: (string | null)[];
    try {
      if (this.#redis.status !== 'ready') throw new Error(`the connection is ${this.#redis.status}`);
      texts = await this.#redis.hmget(key, ...ids);
    } catch (error) {
      throw new DomainError('UNAVAILABLE', 'Metrics are not to be had at the moment.', { cause: error });
    }
    const nowMs = Date.now();
    return texts.map((text) => {
      const sample: Sample | null = text === null ? null : JSON.parse(text);
      return sample !== null && isFresh(sample.at, nowMs) ? sample : null;
    });
  }

  /** Forgets what nobody refreshes: the samples of an agent that was killed, or of a host that is gone. */
  async sweep(): Promise<void> {
    if (this.#redis.status !== 'ready') return;
    for (const key of Object.values(KEYS)) {
      let cursor = '0';
      do {
        const [next, entries] = await this.#redis.hscan(key, cursor, 'COUNT', SCAN_COUNT);
        cursor = next;
        const nowMs = Date.now();
        const stale = entries.filter((_, index) => index % 2 === 0 && !isFresh(JSON.parse(entries[index + 1] ?? '{}').at, nowMs));
        if (stale.length > 0) await this.#redis.hdel(key, ...stale);
      } while (cursor !== '0');
    }
  }
}
