import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { findChild, redisOptions, startRedis as startLocalRedis, type RedisTarget } from '@novacron/local';
import { testRun } from './run.ts';

export interface TestRedis {
  /** unix:///...?password=..., for redisOptions. */
  url: string;
  /** The same for ioredis and BullMQ. */
  options: RedisTarget;
  /** Ends the server as a crash or a power cut would. */
  kill(): void;
  /** Stops the server in its tracks: it takes connections and commands, and answers none. */
  freeze(): void;
  /** Lets a frozen server go on. */
  thaw(): void;
  /** Starts it again over the same data. */
  restart(): Promise<void>;
  /** Ends the server and removes its data. */
  stop(): Promise<void>;
}

/** A Redis of one's own: it starts in 20 ms, so nobody needs to share keys, channels or accidents. */
export async function startRedis(): Promise<TestRedis> {
  const run = await testRun();
  const dir = run.makeDirectory('redis');
  let server = await startLocalRedis({ dir });
  const signal = (name: NodeJS.Signals) => {
    const child = findChild(join(dir, 'redis.pid'));
    if (child) process.kill(child.pid, name);
  };
  return {
    url: server.url,
    options: redisOptions(server.url),
    kill: () => signal('SIGKILL'),
    freeze: () => signal('SIGSTOP'),
    thaw: () => signal('SIGCONT'),
    restart: async () => {
      signal('SIGCONT'); // a frozen server hears no SIGTERM
      await server.stop();
      server = await startLocalRedis({ dir });
    },
    stop: async () => {
      signal('SIGCONT');
      await server.stop();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}
