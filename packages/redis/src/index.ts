import { Redis, type RedisOptions } from 'ioredis';

/**
 * A connection to Redis that comes back by itself. Commands fail at once while Redis is away instead of piling up:
 * whoever sends them knows what to do without. Errors of the connection are its own business and never unhandled.
 */
export function connectRedis(options: RedisOptions, more: Partial<RedisOptions> = {}): Redis {
  const merged = { enableOfflineQueue: false, maxRetriesPerRequest: 0, ...options, ...more };
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
