import { connectRedis } from '@novacron/redis';
import type { RedisOptions } from 'ioredis';

const CHANNEL = 'novacron.network.overlay';

/** Says at once that an overlay's hosts have changed. Who does not hear it looks by itself within half a minute. */
export interface OverlayNews {
  tell(networkId: string): void;
  listen(listener: (networkId: string) => void): () => void;
  close(): void;
}

export function createOverlayNews(redis: RedisOptions): OverlayNews {
  const publisher = connectRedis(redis);
  const subscriber = connectRedis(redis, { enableOfflineQueue: true, maxRetriesPerRequest: null, commandTimeout: undefined, socketTimeout: undefined });
  const listeners = new Set<(networkId: string) => void>();
  subscriber.on('message', (_channel: string, networkId: string) => listeners.forEach((listener) => listener(networkId)));
  subscriber.subscribe(CHANNEL).catch(() => undefined); // closed before it was there
  return {
    tell: (networkId) => void publisher.publish(CHANNEL, networkId).catch(() => undefined), // Redis is away: see above
    listen(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    close() {
      publisher.disconnect();
      subscriber.disconnect();
    },
  };
}
