import type { Redis } from 'ioredis';
import { pino } from 'pino';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { ENDED_SESSIONS_KEY, KNOWN_TO_KEY, USED_SESSIONS_KEY, type Viewer } from '@novacron/contracts';
import { newId } from '@novacron/core';
import { redisOptions } from '@novacron/local';
import { connectRedis, redisReady } from '@novacron/redis';
import { eventually } from '@novacron/testkit';
import { createLastUse } from '../src/sessions/last-use.ts';
import { openDatabase } from '../src/store/database.ts';
import type { IdentityService } from '../src/service.ts';
import { login, startIdentity, type TestIdentity } from './identity.ts';

let identity: TestIdentity;
let redis: Redis;
let viewer: Viewer;

beforeAll(async () => {
  identity = await startIdentity();
  redis = await redisReady(connectRedis(redisOptions(identity.redis.url)));
  await identity.service.bootstrap();
});
afterAll(async () => {
  redis?.disconnect();
  await identity?.close();
});
beforeEach(async () => {
  ({ viewer } = await login(identity));
});

/** While so many processes are at work. */
async function withProcesses(count: number, work: (...processes: IdentityService[]) => Promise<void>): Promise<void> {
  const processes = Array.from({ length: count }, () => identity.another());
  for (const one of processes) one.start();
  try {
    await work(...processes);
  } finally {
    await Promise.all(processes.map((one) => one.close()));
  }
}

const runId = async () => /^run_id:(\w+)/m.exec(await redis.info('server'))?.[1];
/** Redis says that it knows all, and knows these. */
const known = (...sessionIds: string[]) =>
  eventually('Redis to know which sessions have ended', async () => {
    const [knownTo, ended] = await Promise.all([redis.get(KNOWN_TO_KEY), redis.zrange(ENDED_SESSIONS_KEY, 0, '-1')]);
    return knownTo !== null && knownTo === (await runId()) && sessionIds.every((id) => ended.includes(id)) && ended;
  });
async function endOne(): Promise<string> {
  const { viewer: leaving } = await login(identity);
  await identity.ask(leaving, 'mutation { logout }');
  return leaving.sessionId;
}

describe('which sessions have ended', () => {
  it('is known to Redis, of those before the start and of those after it', async () => {
    const before = await endOne();
    await withProcesses(1, async () => {
      await known(before);
      const after = await endOne();
      expect((await known(before, after)).toSorted()).toEqual([before, after].toSorted());
    });
  });

  it('is written again to a Redis that was wiped, by whichever process is there', () =>
    withProcesses(2, async (one) => {
      const ended = [await endOne(), await endOne()];
      await known(...ended);
      await identity.flushRedis();
      await known(...ended);
      await one?.close();
      await identity.flushRedis();
      expect(await known(...ended)).not.toContain(viewer.sessionId);
    }));

  it('is not believed of an old copy, and completed', () =>
    withProcesses(1, async () => {
      const first = await endOne();
      await known(first);
      const before = await runId();
      identity.redis.kill();
      const second = await endOne();
      await identity.redis.restart();
      await eventually('Redis to be back', async () => (await runId()) !== before);
      expect(await known(first, second)).not.toContain(viewer.sessionId);
    }));

  it('is forgotten when none of its tokens can be good any more', () =>
    withProcesses(1, async () => {
      const old = await endOne();
      await known(old);
      identity.clock.advance(12 * 60_000);
      await eventually('Redis to forget it', async () => (await redis.zscore(ENDED_SESSIONS_KEY, old)) === null);
      const later = await endOne();
      expect(await known(later)).toEqual([later]);
    }));

  it('counts API tokens, too', () =>
    withProcesses(1, async () => {
      const tokenId = newId<string>();
      await identity.sql(
        `INSERT INTO identity.api_tokens (id, user_id, name, prefix, token_hash, scopes, addresses, created_at, created_by, revoked_at)
         VALUES ($1, $2, 'ci', 'nc_', '\\x00', '{}', '{}', $3, $2, $3)`,
        [tokenId, viewer.userId, identity.clock.now()],
      );
      expect(await known(tokenId)).toContain(tokenId);
    }));
});

describe('when a session was last used', () => {
  const used = (at: Date, sessionId: string = viewer.sessionId) => redis.zadd(USED_SESSIONS_KEY, at.getTime(), sessionId);
  const shown = async () => {
    const { data } = await identity.ask(viewer, '{ me { sessions { current lastUsedAt } } }');
    return new Date(data['me'].sessions.find(({ current }: { current: boolean }) => current).lastUsedAt);
  };
  const stored = async () => (await identity.sql<{ at: Date }>('SELECT last_used_at AS at FROM identity.sessions WHERE id = $1', [viewer.sessionId]))[0]?.at;
  const later = (ms: number) => new Date(identity.clock.now().getTime() + ms);

  it('is shown as Redis knows it, and as PostgreSQL does when Redis does not', async () => {
    const signedInAt = identity.clock.now();
    await eventually('Redis to be asked', async () => (await used(later(5_000)), (await shown()) > signedInAt));
    expect(await shown()).toEqual(later(5_000));
    await identity.flushRedis();
    expect(await shown()).toEqual(signedInAt);
    identity.redis.kill();
    expect(await shown()).toEqual(signedInAt);
    await identity.redis.restart();
    await eventually('Redis to be back', () => redis.ping().catch(() => null));
  });

  it('is written down at once when a process starts', async () => {
    identity.clock.advance(5_000);
    await used(later(-1_000));
    await withProcesses(1, async () => {
      const at = await eventually('PostgreSQL to have it', async () => [await stored()].find((found) => found !== undefined && found > later(-5_000)));
      expect(at).toEqual(later(-1_000));
    });
  });

  it('is written down in batches, only forwards, and never in the future', async () => {
    const db = openDatabase(identity.databaseUrl);
    const lastUse = createLastUse({ db, redis, now: identity.clock.now, logger: pino({ level: 'silent' }) });
    const written = async () => {
      await lastUse.flush();
      return stored();
    };
    try {
      identity.clock.advance(10_000);
      await Promise.all(Array.from({ length: 2_500 }, (_, index) => used(later(-index), newId<string>())));
      await used(later(-1_000), 'no id');
      await used(later(-2_000));
      expect(await written()).toEqual(later(-2_000));
      await used(later(-3_000));
      expect(await written()).toEqual(later(-2_000));
      await used(later(-1_000));
      expect(await written()).toEqual(later(-1_000));
      await used(later(3_600_000)); // by a gateway whose clock is ahead
      expect(await written()).toEqual(later(0));
    } finally {
      await db.$disconnect();
    }
  });
});
