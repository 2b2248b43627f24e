import { ENDED_SESSIONS_KEY, KNOWN_TO_KEY } from '@novacron/contracts';
import { onOneServer } from '@novacron/redis';
import type { Redis } from 'ioredis';
import type { Logger } from 'pino';
import type { Database } from '../store/database.ts';
import { readEnded } from '../store/sessions.ts';

/**
 * Tells Redis which sessions and API tokens have ended: PostgreSQL is the truth, and whatever Redis forgets it is told again.
 * Gateways ask Redis, so that no token outlives its session in anybody's memory (docs/adr/0026).
 */
export interface EndedSessions {
  /** Looks what has ended lately. Does not fail: what Redis does not learn now it learns at the next look. */
  look(): Promise<void>;
}

/** Processes' clocks may differ so much, and a transaction take so long to commit. */
const OVERLAP_MS = 60_000;

interface EndedSessionsOptions {
  db: Database;
  redis: Redis;
  now: () => Date;
  logger: Logger;
  tokenLifetimeMs: number;
}

export function createEndedSessions({ db, redis, now, logger, tokenLifetimeMs }: EndedSessionsOptions): EndedSessions {
  const onServer = onOneServer(redis);
  /** The server that this process has told all of it to. */
  let told: string | null = null;
  let isAway = false;

  const keptSince = (): Date => new Date(now().getTime() - tokenLifetimeMs - OVERLAP_MS);

  /** `complete`: on that server nothing of it is missing now. Together, since the set may be wiped in between. */
  async function tell(ended: readonly { id: string; at: Date }[], complete: string | null): Promise<void> {
    const writing = redis.multi().zremrangebyscore(ENDED_SESSIONS_KEY, '-inf', keptSince().getTime());
    for (const { id, at } of ended) writing.zadd(ENDED_SESSIONS_KEY, at.getTime(), id);
    if (complete !== null) writing.set(KNOWN_TO_KEY, complete);
    const fault = (await writing.exec())?.find(([error]) => error)?.[0];
    if (fault) throw fault;
  }

  const catchUp = (): Promise<void> =>
    onServer(async (runId) => {
      const isComplete = told === runId && (await redis.get(KNOWN_TO_KEY)) === runId;
      if (isComplete) return tell(await readEnded(db, new Date(now().getTime() - OVERLAP_MS)), null);
      const ended = await readEnded(db, keptSince());
      await tell(ended, runId);
      told = runId;
      logger.info({ ended: ended.length }, 'Redis knows which sessions have ended');
    });

  async function look(): Promise<void> {
    try {
      await catchUp();
      isAway = false;
    } catch (err) {
      if (!isAway) logger.warn({ err }, 'Redis could not be told which sessions have ended');
      isAway = true;
    }
  }

  return { look };
}
