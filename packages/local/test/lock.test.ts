import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { eventually } from '@novacron/testkit';
import { expect, test } from 'vitest';
import { lockHolder, tryLock, withLock } from '../src/lock.ts';

const unique = (): string => `test:${crypto.randomUUID()}`;

test('one at a time, also within a process', async () => {
  const name = unique();
  let inside = 0;
  let most = 0;
  const work = async (): Promise<void> => {
    most = Math.max(most, (inside += 1));
    await new Promise(setImmediate);
    inside -= 1;
  };
  await Promise.all(Array.from({ length: 10 }, () => withLock(name, work)));
  expect(most).toBe(1);
});

test('a lock whose process was killed is free', async () => {
  const name = unique();
  const program = `import { tryLock } from ${JSON.stringify(join(import.meta.dirname, '../src/lock.ts'))};
    await tryLock(${JSON.stringify(name)}); console.log('locked'); setInterval(() => {}, 1000);`;
  const holder = spawn(process.execPath, ['--input-type=module', '-e', program], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(holder.stdout, 'data');
  expect(await tryLock(name)).toBeUndefined();
  expect(await lockHolder(name)).toBe(holder.pid);
  holder.kill('SIGKILL');
  const lock = await eventually('the lock', () => tryLock(name));
  await lock.release();
});

test('whoever waits too long is told who has it', async () => {
  const name = unique();
  const lock = await tryLock(name);
  await expect(withLock(name, () => Promise.resolve(), 50)).rejects.toThrow(`${name} is still locked by process ${process.pid}.`);
  await lock?.release();
});
