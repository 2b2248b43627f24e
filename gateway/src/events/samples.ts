import { DomainError } from '@novacron/core';
import { HOST_METRICS_CHANNEL, VM_METRICS_CHANNEL, type HostSample, type VmSample } from '@novacron/contracts';
import type { SampleFeed as Feed } from '@novacron/supergraph';
import type { Redis } from 'ioredis';
import type { Logger } from 'pino';
import { ListenerIndex } from './listener-index.ts';

/** A sample with the id of what it was taken of, whichever kind that is. */
export type Sample = { id: string } & ({ kind: 'vm'; value: VmSample } | { kind: 'host'; value: HostSample });

/**
 * Samples as agents publish them. The latest of each VM and host is kept, so that a new subscriber has a value at once;
 * of what is no longer sampled it is forgotten.
 */
export interface SampleFeed extends Feed<Sample> {
  close(): Promise<void>;
}

/** An agent samples every few seconds: what is older says nothing about now. */
const FORGOTTEN_AFTER_MS = 60_000;

const CONNECT_TIMEOUT_MS = 5_000;

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null;

/** Listens on a Redis connection of its own: a connection that subscribes can do nothing else. UNAVAILABLE without Redis. */
export async function createSampleFeed(redis: Redis, logger: Logger): Promise<SampleFeed> {
  const known: Record<Sample['kind'], Map<string, { sample: Sample; seenAt: number }>> = { vm: new Map(), host: new Map() };
  const listeners = new ListenerIndex<Sample['kind'], Sample>(logger);

  function take(sample: Sample): void {
    known[sample.kind].delete(sample.id); // kept in the order of arrival, so that forgetting looks at the oldest only
    known[sample.kind].set(sample.id, { sample, seenAt: Date.now() });
    listeners.tell(sample.kind, sample.id, sample);
  }

  function forget(kind: Sample['kind']): void {
    const oldest = Date.now() - FORGOTTEN_AFTER_MS;
    for (const [id, { seenAt }] of known[kind]) {
      if (seenAt >= oldest) return;
      known[kind].delete(id);
    }
  }

  function receive(channel: string, message: string): void {
    const kind = channel === VM_METRICS_CHANNEL ? 'vm' : 'host';
    try {
      const values: unknown = JSON.parse(message);
      if (!Array.isArray(values)) throw new TypeError('a round of samples is an array');
      for (const value of values) {
        const id = isObject(value) ? value[kind === 'vm' ? 'vmId' : 'hostId'] : undefined;
        if (typeof id !== 'string') throw new TypeError('a sample names what it was taken of');
        take({ kind, id, value } as Sample); // written by our agents, of the contract's type
      }
    } catch (err) {
      logger.error({ err, channel }, 'samples that can not be read');
    }
    forget(kind);
  }

  const connection = redis.duplicate({ autoResubscribe: false });
  const listening = Promise.withResolvers<void>();
  const late = new DomainError('UNAVAILABLE', 'Redis does not answer.');
  const timer = setTimeout(() => listening.reject(late), CONNECT_TIMEOUT_MS);
  connection.on('error', (err) => logger.warn({ err }, 'the connection for samples failed; it is made again'));
  connection.on('message', receive);
  connection.on('ready', () => {
    connection.subscribe(VM_METRICS_CHANNEL, HOST_METRICS_CHANNEL).then(
      () => listening.resolve(),
      (err: unknown) => logger.warn({ err }, 'samples could not be listened to; the next connection tries again'),
    );
  });
  try {
    await listening.promise;
  } catch (error) {
    connection.disconnect();
    throw error;
  } finally {
    clearTimeout(timer);
  }

  return {
    latest(kind, ids) {
      forget(kind);
      const all = known[kind];
      const chosen = ids === null ? [...all.values()] : [...new Set(ids)].flatMap((id) => all.get(id) ?? []);
      return chosen.map(({ sample }) => sample);
    },
    listen: (kind, ids, listener) => listeners.add(kind, ids, listener),
    close: async () => connection.disconnect(),
  };
}
