import { Queue, type ConnectionOptions } from 'bullmq';
import { connectRedis } from '@novacron/redis';
import type { RedisOptions } from 'ioredis';
import type { Logger } from 'pino';
import type { Bell } from './kernel.ts';

/** BullMQ refuses ':' in names. */
export const queueName = (service: string, hostId: string | null): string => (hostId === null ? service : `${service}.${hostId}`);

export interface Bells {
  /**
   * Tells the queue where an operation goes on. Never fails and is never waited for: a bell that is lost is rung
   * again by the sweeper.
   */
  ring(bell: Bell | null): void;
  /** Resolves once Redis has been reached for the first time: what is rung before is lost. */
  readonly connected: Promise<void>;
  close(): Promise<void>;
}

/**
 * The same for the same try, so that whoever rings again and again (the sweeper, for a queue that nobody serves) adds
 * nothing. A bell for now is another than the one that waits for the next try: cancelling must not wait for that.
 */
const jobId = ({ operationId, cursor, attempt, delayMs }: Bell): string =>
  `${operationId}-${cursor}-${attempt}-${delayMs > 0 ? 'later' : 'now'}`;

export function createBells(redis: RedisOptions, logger: Logger): Bells {
  const connection = connectRedis(redis);
  const queues = new Map<string, Queue>();
  const connected = new Promise<void>((resolve) => void connection.once('ready', resolve));
  let silent = false;

  const lost = (error: unknown): void => {
    if (!silent) logger.warn({ err: error }, 'a bell was lost; the sweeper will ring it again');
    silent = true;
  };

  const queueOf = (bell: Bell): Queue => {
    const name = queueName(bell.service, bell.hostId);
    const known = queues.get(name);
    if (known) return known;
    const queue = new Queue(name, { connection: connection as unknown as ConnectionOptions }); // BullMQ's own declaration of ioredis
    queue.on('error', () => {}); // said by ring, once per outage
    queue.waitUntilReady().catch(() => {
      queues.delete(name); // a queue whose first words to Redis were lost never tries them again: the next bell gets another
      void queue.close().catch(() => undefined); // it never opened
    });
    queues.set(name, queue);
    return queue;
  };

  return {
    connected,
    ring(bell) {
      if (bell === null) return;
      // BullMQ would keep it, and all that follow, until Redis is there
      if (connection.status !== 'ready') return lost(new Error('Redis is away.'));
      queueOf(bell)
        .add(
          'bell',
          { operationId: bell.operationId },
          { jobId: jobId(bell), delay: bell.delayMs, attempts: 1, removeOnComplete: true, removeOnFail: true },
        )
        .then(() => {
          silent = false;
        }, lost);
    },
    async close() {
      await Promise.allSettled([...queues.values()].map((queue) => queue.close()));
      connection.disconnect();
    },
  };
}
