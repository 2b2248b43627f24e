import { Redis, type RedisOptions } from 'ioredis';

export { onOneServer, type OnOneServer } from './one-server.ts';

/** How long Redis may owe an answer before it counts as away. */
const ANSWER_MS = 2_000;

/** For a connection whose commands wait inside Redis: what they may take, given how long they wait there. */
export const answersWithin = (blockMs: number): Partial<RedisOptions> => ({
  commandTimeout: blockMs + ANSWER_MS, // ends the one command
  socketTimeout: blockMs + ANSWER_MS, // gives up the connection, so that all that follow fail at once
});

/**
 * A connection to Redis that comes back by itself. Commands fail at once while Redis is away instead of piling up:
 * whoever sends them knows what to do without. A Redis that is frozen, or behind a network that swallows packets,
 * counts as away after 2 s without an answer; what it was sent by then may still take effect. Errors of the
 * connection are its own business and never unhandled.
 */
export function connectRedis(options: RedisOptions, more: Partial<RedisOptions> = {}): Redis {
  const merged = { enableOfflineQueue: false, maxRetriesPerRequest: 0, ...answersWithin(0), ...options, ...more };
  // ioredis declares the constructor's replyMapping narrower than RedisOptions does (exactOptionalPropertyTypes)
  const redis = new Redis(merged as RedisOptions & { replyMapping?: never });
  redis.on('error', () => {});
  return redis;
}

/** Resolves when the connection is ready; rejects when it is not within the deadline. */
export async function redisReady(redis: Redis, deadlineMs = 5_000): Promise<Redis> {
  if (redis.status === 'ready') return redis;
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const timer = setTimeout(() => reject(new Error('Redis does not answer.')), deadlineMs);
  redis.once('ready', resolve);
  try {
    await promise;
    return redis;
  } finally {
    clearTimeout(timer);
    redis.off('ready', resolve);
  }
}
