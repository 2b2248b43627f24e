import { USED_SESSIONS_KEY } from '@novacron/contracts';
import { isId } from '@novacron/core';
import type { Redis } from 'ioredis';
import type { Logger } from 'pino';
import type { Database } from '../store/database.ts';
import { noteUses } from '../store/sessions.ts';

/** When sessions were last used: gateways note it in Redis, and PostgreSQL learns it in batches. */
export interface LastUse {
  /** When each was last used, as far as Redis knows; nothing while it is away. */
  of(sessionIds: readonly string[]): Promise<ReadonlyMap<string, Date>>;
  /** Writes down what is new. Does not fail: what stays in Redis is written down the next time. */
  flush(): Promise<void>;
}

/** What was noted shortly before the last time is written down again: gateways' clocks differ, and rows were being changed. */
const OVERLAP_MS = 60_000;
/** By then PostgreSQL has it, and nobody asks Redis. */
const KEPT_MS = 24 * 3_600_000;
const BATCH = 1_000;

interface LastUseOptions {
  db: Database;
  redis: Redis;
  now: () => Date;
  logger: Logger;
}

export function createLastUse({ db, redis, now, logger }: LastUseOptions): LastUse {
  /** When all of it was written down last. */
  let writtenAt = 0;
  let isAway = false;

  async function writeDown(): Promise<void> {
    const at = now().getTime();
    const since = Math.max(0, writtenAt - OVERLAP_MS);
    const reply = await redis.zrange(USED_SESSIONS_KEY, since, '+inf', 'BYSCORE', 'WITHSCORES');
    const uses: { id: string; at: Date }[] = [];
    for (let index = 0; index < reply.length; index += 2) {
      const [id = '', usedAt] = [reply[index], Number(reply[index + 1])];
      if (isId(id)) uses.push({ id, at: new Date(Math.min(usedAt, at)) }); // by another clock than ours, which may be ahead
    }
    for (let start = 0; start < uses.length; start += BATCH) await noteUses(db, uses.slice(start, start + BATCH));
    await redis.zremrangebyscore(USED_SESSIONS_KEY, '-inf', at - KEPT_MS);
    writtenAt = at;
  }

  return {
    async of(sessionIds) {
      if (sessionIds.length === 0) return new Map();
      const scores = await redis.zmscore(USED_SESSIONS_KEY, ...sessionIds).catch(() => []); // then what PostgreSQL has is the answer
      return new Map(sessionIds.flatMap((id, index) => (scores[index] == null ? [] : [[id, new Date(Number(scores[index]))] as const])));
    },
    async flush() {
      try {
        await writeDown();
        isAway = false;
      } catch (err) {
        if (!isAway) logger.warn({ err }, 'it could not be written down when sessions were last used');
        isAway = true;
      }
    },
  };
}
