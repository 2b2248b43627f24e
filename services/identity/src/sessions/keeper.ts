import type { Redis } from 'ioredis';
import type { EndedSessions } from './ended-sessions.ts';
import type { LastUse } from './last-use.ts';
import { startRounds, type Rounds } from './rounds.ts';

/** With what gateways take to ask again, well within the second after which an ended session is of no use to anybody. */
const LOOK_EVERY_MS = 250;
const FLUSH_EVERY_MS = 10_000;

/** Keeps Redis and PostgreSQL in agreement about sessions. Any number of processes may. */
export function startSessionKeeper({ redis, ended, lastUse }: { redis: Redis; ended: EndedSessions; lastUse: LastUse }): Rounds {
  const rounds = [startRounds(ended.look, LOOK_EVERY_MS, redis), startRounds(lastUse.flush, FLUSH_EVERY_MS, redis)];
  return {
    async close() {
      await Promise.all(rounds.map((one) => one.close()));
    },
  };
}
