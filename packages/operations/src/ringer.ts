import { Queue, type ConnectionOptions } from 'bullmq';
import { connectRedis } from '@novacron/redis';
import type { RedisOptions } from 'ioredis';
import type { Logger } from 'pino';

/** One job: what it is about stands in the database. */
export interface Ring {
  queue: string;
  /** While a job with this id waits, or is in hand, ringing again adds nothing. */
  jobId: string;
  data: object;
  delayMs: number;
}

export interface Ringer {
  /** Never fails and is never waited for: whatever rings looks again by itself for what is due. */
  ring(ring: Ring): void;
  /** Resolves once Redis has been reached for the first time: what is rung before is lost. */
  readonly connected: Promise<void>;
  close(): Promise<void>;
}

/** Rings on BullMQ's queues while Redis is there, and drops what can't be rung: said once an outage. */
export function createRinger(redis: RedisOptions, logger: Logger): Ringer {
  const connection = connectRedis(redis);
  const queues = new Map<string, Queue>();
  const connected = new Promise<void>((resolve) => void connection.once('ready', resolve));
  let silent = false;

  const lost = (error: unknown): void => {
    if (!silent) logger.warn({ err: error }, 'a bell was lost; the sweeper will ring it again');
    silent = true;
  };

  const queueOf = (name: string): Queue => {
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
    ring({ queue, jobId, data, delayMs }) {
      // BullMQ would keep it, and all that follow, until Redis is there
      if (connection.status !== 'ready') return lost(new Error('Redis is away.'));
      queueOf(queue)
        .add('bell', data, { jobId, delay: delayMs, attempts: 1, removeOnComplete: true, removeOnFail: true })
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
