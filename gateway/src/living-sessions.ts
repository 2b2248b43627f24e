import { ENDED_SESSIONS_KEY, KNOWN_TO_KEY, USED_SESSIONS_KEY } from '@novacron/contracts';
import { onOneServer, redisReady } from '@novacron/redis';
import type { Redis } from 'ioredis';
import type { Logger } from 'pino';

/** Which sessions have ended, as identity keeps it in Redis for gateways. */
export interface LivingSessions {
  /** Has it ended? Notes that it is used now. Rejects while Redis can't be asked, or does not know of all that have ended. */
  hasEnded(sessionId: string): Promise<boolean>;
}

/** A connection that was given up because this process was too busy to hear the answer is back by then. */
const PATIENCE_MS = 1_000;

/** One question at a time, for all sessions that have come up meanwhile: what a busy gateway asks stays little. */
export function createLivingSessions(redis: Redis, logger: Logger): LivingSessions {
  const onServer = onOneServer(redis);
  let next: { sessionIds: Set<string>; ended: Promise<ReadonlySet<string>> } | null = null;
  let asking: Promise<unknown> = Promise.resolve();
  let isAway = false;

  async function ask(sessionIds: readonly string[]): Promise<ReadonlySet<string>> {
    if (redis.status !== 'ready') throw new Error('Redis is away.'); // the question would wait for its return
    return onServer(async (runId) => {
      const at = Date.now();
      const results = await redis
        .multi()
        .get(KNOWN_TO_KEY)
        .zmscore(ENDED_SESSIONS_KEY, ...sessionIds)
        .zadd(USED_SESSIONS_KEY, 'GT', ...sessionIds.flatMap((id) => [at, id]))
        .exec();
      const [knownTo, scores] = (results ?? []).map(([error, answer]) => {
        if (error) throw error;
        return answer;
      });
      if (knownTo !== runId) throw new Error('Redis does not know yet which sessions have ended.');
      return new Set(sessionIds.filter((_, index) => (scores as unknown[])[index] !== null)); // one score for each, null where there is none
    });
  }

  /** Once more, when Redis was there until now. */
  const insist = (sessionIds: readonly string[]): Promise<ReadonlySet<string>> =>
    ask(sessionIds).catch(async (error: unknown) => {
      if (isAway) throw error;
      await redisReady(redis, PATIENCE_MS);
      return ask(sessionIds);
    });

  function tell(err: unknown): void {
    if (err === null && isAway) logger.info('Redis says again which sessions have ended');
    if (err !== null && !isAway) logger.warn({ err }, 'Redis does not say which sessions have ended: tokens older than a minute are refused');
    isAway = err !== null;
  }

  return {
    async hasEnded(sessionId) {
      if (next === null) {
        const sessionIds = new Set<string>();
        const ended = asking.then(() => {
          next = null;
          return insist([...sessionIds]);
        });
        asking = ended.then(() => tell(null), tell);
        next = { sessionIds, ended };
      }
      next.sessionIds.add(sessionId);
      return (await next.ended).has(sessionId);
    },
  };
}
