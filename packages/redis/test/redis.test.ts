import { eventually, startRedis, type TestRedis } from '@novacron/testkit';
import type { Redis } from 'ioredis';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { answersWithin, connectRedis, onOneServer, redisReady } from '../src/index.ts';

let server: TestRedis;
let redis: Redis;

beforeEach(async () => {
  server = await startRedis();
});
afterEach(async () => {
  redis.disconnect();
  await server.stop();
});

it.each([
  { command: 'a command', options: {}, send: () => redis.ping() },
  { command: 'a command that blocks', options: answersWithin(500), send: () => redis.xread('BLOCK', 500, 'STREAMS', 'nothing', '0') },
])('$command to a frozen Redis fails; the next ones fail at once until it goes on', async ({ options, send }) => {
  redis = await redisReady(connectRedis(server.options, options));
  server.freeze();
  const sent = send().then(
    () => 'answered',
    () => 'failed',
  );
  expect(await eventually('an end of the command', () => sent, { timeoutMs: 5_000 })).toBe('failed');
  await eventually('the connection given up', () => redis.status !== 'ready', { timeoutMs: 1_000 });
  await expect(redis.ping()).rejects.toThrow(/writeable/);
  server.thaw();
  await redisReady(redis);
  expect(await redis.ping()).toBe('PONG');
});

it('a command that blocks is not cut short while Redis is well', async () => {
  redis = await redisReady(connectRedis(server.options, answersWithin(2_500)));
  expect(await redis.xread('BLOCK', 2_500, 'STREAMS', 'nothing', '0')).toBeNull();
  expect(redis.status).toBe('ready');
});

it('what is done on one server is told which, and fails when the connection was lost meanwhile', async () => {
  redis = await redisReady(connectRedis(server.options));
  const onServer = onOneServer(redis);
  const before = await onServer((runId) => Promise.resolve(runId));
  expect(before).toMatch(/^\w{40}$/);
  expect(await onServer(async (runId) => [runId, await redis.ping()])).toEqual([before, 'PONG']);
  const lost = onServer(async () => {
    server.kill();
    await eventually('the connection to be lost', () => redis.status !== 'ready');
    return 'an answer of before';
  });
  await expect(lost).rejects.toThrow(/lost/);
  await server.restart();
  await eventually('Redis to be back', () => redis.status === 'ready');
  expect(await onServer((runId) => Promise.resolve(runId))).not.toBe(before);
});
