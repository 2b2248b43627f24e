import { DomainError, newId, type SessionId, type UserId } from '@novacron/core';
import { ENDED_SESSIONS_KEY, KNOWN_TO_KEY, USED_SESSIONS_KEY, type Authenticator, type Viewer } from '@novacron/contracts';
import { connectRedis, redisReady } from '@novacron/redis';
import { eventually, startRedis, type TestRedis } from '@novacron/testkit';
import type { Redis } from 'ioredis';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createEventHub } from '../src/events/hub.ts';
import { createLivingSessions } from '../src/living-sessions.ts';
import { createViewers } from '../src/viewers.ts';
import { MemoryEventLog } from './memory-event-log.ts';

const logger = pino({ level: 'silent' });
let server: TestRedis;
let redis: Redis;
beforeEach(async () => {
  server = await startRedis();
  redis = await redisReady(connectRedis(server.options));
  await tellAll();
});
afterEach(async () => {
  redis?.disconnect();
  await server?.stop();
});

/** Says, as identity does, that Redis knows of every session that has ended. */
async function tellAll(runId?: string): Promise<void> {
  await redis.set(KNOWN_TO_KEY, runId ?? /^run_id:(\w+)/m.exec(await redis.info('server'))?.[1] ?? '');
}

/** Viewers over a log; the authenticator knows of no revocation. */
async function start(log = new MemoryEventLog(), { ageMs = 0 } = {}) {
  const viewer: Viewer = { userId: newId<UserId>(), sessionId: newId<SessionId>(), roles: [] };
  const issuedAt = new Date(Date.now() - ageMs);
  const authenticator = { authenticate: async () => ({ viewer, issuedAt, expiresAt: new Date(Date.now() + 600_000) }), jwks: async () => ({ keys: [] }) };
  const revoke = () => log.append({ type: 'session.revoked', tenantId: null, entityId: viewer.sessionId, after: { userId: viewer.userId } });
  const change = () => log.append({ type: 'user.access', tenantId: null, entityId: viewer.userId, after: {} });
  const open = async () => {
    const hub = await createEventHub(log, logger);
    const viewers = await createViewers(authenticator, hub, log, createLivingSessions(redis, logger));
    return { viewers, reach: async () => expect(await hub.reaches(await log.head(), 5_000)).toBe(true) };
  };
  return { viewer, open, revoke, change };
}

it.each([0, 1_200])('a session that was revoked %i events before the gateway started is refused', async (later) => {
  const log = new MemoryEventLog();
  const { open, revoke } = await start(log);
  revoke();
  for (let count = 0; count < later; count += 1) log.append({ type: 'user.access', tenantId: null, entityId: newId<UserId>(), after: {} });
  const { viewers } = await open();
  await expect(viewers.authenticate('token', null)).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
});

it('the log is read back no further than it is kept', async () => {
  const log = new MemoryEventLog();
  const { open, change } = await start(log);
  change();
  change();
  log.forgetUpTo(1);
  const { viewers } = await open();
  await expect(viewers.authenticate('token', null)).resolves.toMatchObject({ asked: 1 });
});

it.each(['revoke', 'change'] as const)('an answer is not current after a %s that came behind it', async (event) => {
  const log = new MemoryEventLog();
  const started = await start(log);
  const { viewers, reach } = await started.open();
  const answer = await viewers.authenticate('token', null);
  expect(viewers.isCurrent(answer)).toBe(true);
  started[event]();
  await reach();
  expect(viewers.isCurrent(answer)).toBe(false);
});

it('a session that Redis says has ended is refused, before the log says so and whoever kept an answer', async () => {
  const { viewer, open } = await start();
  const [{ viewers: keeps }, { viewers: starts }] = [await open(), await open()];
  await keeps.authenticate('token', null);
  await redis.zadd(ENDED_SESSIONS_KEY, Date.now(), viewer.sessionId);
  await expect(starts.authenticate('token', null)).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
  const refusal = await eventually('a refusal', () => keeps.authenticate('token', null).then(() => null, (error: unknown) => error));
  expect(refusal).toMatchObject({ code: 'UNAUTHENTICATED' });
});

it('the use of a session is noted', async () => {
  const { viewer, open } = await start();
  const before = Date.now();
  await (await open()).viewers.authenticate('token', null);
  expect(Number(await redis.zscore(USED_SESSIONS_KEY, viewer.sessionId))).toBeGreaterThanOrEqual(before);
});

describe.each<[string, () => void | Promise<unknown>]>([
  ['is gone', () => server.kill()],
  ['was wiped', () => redis.flushall()],
  ['is an old copy of itself', () => tellAll('another-server')],
  ['is frozen', () => server.freeze()],
])('while Redis %s', (_what, disturb) => {
  const unavailable = { code: 'UNAVAILABLE', retryable: true };
  const OLD = { ageMs: 61_000 };

  it('old tokens are refused, kept answers or not, until it says again what has ended', async () => {
    const { open } = await start(new MemoryEventLog(), OLD);
    const [{ viewers: keeps }, { viewers: starts }] = [await open(), await open()];
    await keeps.authenticate('token', null);
    await disturb();
    await expect(starts.authenticate('token', null)).rejects.toMatchObject(unavailable);
    const refusal = await eventually('a refusal', () => keeps.authenticate('token', null).then(() => null, (error: unknown) => error));
    expect(refusal).toMatchObject(unavailable);

    await server.restart();
    await eventually('Redis to be told all', () => tellAll().then(() => true, () => false));
    const answers = await eventually('answers', () => Promise.all([keeps, starts].map((viewers) => viewers.authenticate('token', null))).catch(() => null));
    expect(answers).toHaveLength(2);
  });

  it('young ones are taken', async () => {
    const { viewer, open } = await start();
    const { viewers } = await open();
    await disturb();
    expect((await viewers.authenticate('token', null)).viewer).toEqual(viewer);
  });
});

it('an answer about a token from one address is none about it from another', async () => {
  const asked: (string | null)[] = [];
  const viewer: Viewer = { userId: newId<UserId>(), sessionId: newId<SessionId>(), roles: [], scopes: ['vm:read'] };
  const authenticator: Authenticator = {
    async authenticate(_token, address) {
      asked.push(address);
      if (address !== '192.0.2.1') throw new DomainError('UNAUTHENTICATED', 'Not from there.');
      return { viewer, issuedAt: new Date(), expiresAt: new Date(8.64e15) };
    },
    jwks: async () => ({ keys: [] }),
  };
  const log = new MemoryEventLog();
  const viewers = await createViewers(authenticator, await createEventHub(log, logger), log, createLivingSessions(redis, logger));
  for (const address of ['192.0.2.1', '192.0.2.1']) expect((await viewers.authenticate('nc_token', address)).viewer).toEqual(viewer);
  await expect(viewers.authenticate('nc_token', '192.0.2.2')).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
  await expect(viewers.authenticate('nc_token', null)).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
  expect(asked).toEqual(['192.0.2.1', '192.0.2.2', null]);
});
