import { spawnSync } from 'node:child_process';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { eventually, testRun } from '@novacron/testkit';
import { Redis } from 'ioredis';
import { expect, test } from 'vitest';
import { startTimeOf } from '../src/children.ts';
import { startRedis, type LocalRedis } from '../src/redis.ts';
import { redisOptions } from '../src/redis-url.ts';

const newDir = async (): Promise<string> => (await testRun()).makeDirectory('redis');

async function withClient<T>({ url }: Pick<LocalRedis, 'url'>, work: (client: Redis) => Promise<T>): Promise<T> {
  const client = new Redis({ ...redisOptions(url), lazyConnect: true, retryStrategy: () => null });
  client.on('error', () => undefined); // the command that waits is rejected as well
  try {
    await client.connect();
    return await work(client);
  } finally {
    client.disconnect();
  }
}

test('listens on a private socket only, asks for the password, and runs without privileges', async () => {
  const dir = await newDir();
  const server = await startRedis({ dir });
  await withClient(server, async (client) => {
    expect(await client.config('GET', 'port')).toEqual(['port', '0']);
    expect(await client.config('GET', 'maxmemory-policy')).toEqual(['maxmemory-policy', 'noeviction']);
    expect(await client.config('GET', 'appendfsync')).toEqual(['appendfsync', 'everysec']);
  });
  expect(statSync(join(dir, 'redis.conf')).mode & 0o777).toBe(0o600);
  expect(statSync(`/proc/${server.pid}`).uid).not.toBe(0);
  expect(readFileSync(`/proc/${server.pid}/cmdline`, 'utf8')).not.toContain(readFileSync(join(dir, 'password'), 'utf8').trim());
  await expect(withClient({ url: server.url.replace(/password=.*/, 'password=wrong') }, (client) => client.ping())).rejects.toThrow('Connection is closed');
  await server.stop();
  expect(startTimeOf(server.pid)).toBeUndefined();
});

test('keeps what it was told over its own kill -9', async () => {
  const dir = await newDir();
  const first = await startRedis({ dir });
  await withClient(first, (client) => client.set('kept', '42'));
  process.kill(first.pid, 'SIGKILL');
  await eventually('the end of Redis', () => startTimeOf(first.pid) === undefined);
  const second = await startRedis({ dir });
  expect(second.reused).toBe(false);
  expect(await withClient(second, (client) => client.get('kept'))).toBe('42');
  await second.stop();
});

test('is used again after a kill -9 of whoever started it', async () => {
  const dir = await newDir();
  const { stdout } = spawnSync(process.execPath, [join(import.meta.dirname, 'start-and-die.ts'), 'redis', dir], { encoding: 'utf8' });
  const orphan = JSON.parse(stdout) as LocalRedis; // what start-and-die.ts prints
  const server = await startRedis({ dir });
  expect(server).toMatchObject({ reused: true, pid: orphan.pid, url: orphan.url });
  await server.stop();
  expect(startTimeOf(orphan.pid)).toBeUndefined();
});
