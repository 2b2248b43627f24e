import type { Redis } from 'ioredis';

/**
 * Runs some commands on one server, and says which: its run id is another one after a restart or a fail-over, when it may
 * know less than it did. Rejects when the connection was lost meanwhile. https://redis.io/docs/latest/commands/info/
 */
export type OnOneServer = <Answer>(work: (runId: string) => Promise<Answer>) => Promise<Answer>;

export function onOneServer(redis: Redis): OnOneServer {
  let reached: Promise<string> | null = null;
  redis.on('close', () => (reached = null));

  async function ask(): Promise<string> {
    const runId = /^run_id:(\w+)/m.exec(await redis.info('server'))?.[1];
    if (runId === undefined) throw new Error('Redis does not say which server it is.');
    return runId;
  }

  return async (work) => {
    const asked = (reached ??= ask());
    asked.catch(() => {
      if (reached === asked) reached = null;
    });
    const answer = await work(await asked);
    if (reached !== asked) throw new Error('The connection to Redis was lost meanwhile.');
    return answer;
  };
}
