import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { eventually, testRun } from '@novacron/testkit';
import { expect, test } from 'vitest';
import { findChild, startChild, stopChild, type StopStep } from '../src/children.ts';

const KILL: readonly StopStep[] = [{ signal: 'SIGKILL', waitMs: 5_000 }];

async function place(): Promise<{ pidFile: string; logFile: string }> {
  const dir = (await testRun()).makeDirectory('children');
  return { pidFile: join(dir, 'it.pid'), logFile: join(dir, 'it.log') };
}

test('a child runs in a session of its own, is found by its pid file, and ends when told', async () => {
  const { pidFile, logFile } = await place();
  const child = await startChild({ command: 'sleep', args: ['1000'], pidFile, logFile });
  expect(execFileSync('ps', ['-o', 'sid=', '-p', String(child.pid)], { encoding: 'utf8' }).trim()).toBe(String(child.pid));
  expect(findChild(pidFile)?.pid).toBe(child.pid);
  await stopChild(pidFile, KILL);
  expect(child.isAlive()).toBe(false);
  expect(existsSync(pidFile)).toBe(false);
  await stopChild(pidFile, KILL); // once more changes nothing
});

test('a pid that was given away again is left alone', async () => {
  const { pidFile, logFile } = await place();
  const innocent = await startChild({ command: 'sleep', args: ['1000'], pidFile: `${pidFile}.other`, logFile });
  const remembered = JSON.parse(readFileSync(`${pidFile}.other`, 'utf8')) as Record<string, unknown>;
  writeFileSync(pidFile, JSON.stringify({ ...remembered, startTime: '1' }));
  expect(findChild(pidFile)).toBeUndefined();
  await stopChild(pidFile, KILL);
  writeFileSync(pidFile, JSON.stringify({ ...remembered, bootId: 'of an earlier boot' }));
  await stopChild(pidFile, KILL);
  expect(innocent.isAlive()).toBe(true);
  await stopChild(`${pidFile}.other`, KILL);
});

test('one that does not listen to the first signal gets the next', async () => {
  const { pidFile, logFile } = await place();
  const script = 'trap "" TERM; echo ready; while :; do sleep 0.1; done';
  const child = await startChild({ command: 'bash', args: ['-c', script], pidFile, logFile });
  await eventually('its trap', () => readFileSync(logFile, 'utf8').includes('ready'));
  await stopChild(pidFile, [{ signal: 'SIGTERM', waitMs: 100 }, ...KILL]);
  expect(child.isAlive()).toBe(false);
});

test('a program that does not exist is named', async () => {
  const { pidFile, logFile } = await place();
  await expect(startChild({ command: 'no-such-program', args: [], pidFile, logFile })).rejects.toThrow(
    /^no-such-program could not be started: .*ENOENT/,
  );
});
