import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { eventually } from './eventually.ts';

const isRoot = process.getuid?.() === 0;

/** Processes whose command line or mounts name the run. */
function processesOf(dir: string): string[] {
  return readdirSync('/proc').filter((pid) => {
    if (!/^\d+$/.test(pid)) return false;
    try {
      return ['cmdline', 'mountinfo'].some((file) => readFileSync(`/proc/${pid}/${file}`, 'utf8').includes(dir));
    } catch {
      return false; // ended meanwhile
    }
  });
}

test.runIf(isRoot)('a run that is killed with -9 leaves nothing behind', async () => {
  const program = `
    import { guest, guestXml, startLibvirtHosts, startPostgres, startRedis, testRun } from ${JSON.stringify(join(import.meta.dirname, 'index.ts'))};
    import { writeFileSync } from 'node:fs';
    const { dir } = await testRun();
    const [, , { hosts }, built] = await Promise.all([startPostgres(), startRedis(), startLibvirtHosts(1), guest()]);
    writeFileSync(dir + '/guest.xml', guestXml(built, { name: 'left-behind' }));
    await hosts[0].virsh('create', dir + '/guest.xml');
    console.log(JSON.stringify({ dir, qemu: hosts[0].qemuPids() }));
    setInterval(() => {}, 1000);`;
  const { NOVACRON_TEST_RUN: _ours, ...env } = process.env; // it opens a run of its own
  const run = spawn(process.execPath, ['--input-type=module', '-e', program], { stdio: ['ignore', 'pipe', 'inherit'], env });
  const [line] = (await once(run.stdout, 'data')) as [Buffer]; // its one line
  const { dir, qemu } = JSON.parse(String(line)) as { dir: string; qemu: number[] };
  expect(qemu).toHaveLength(1);
  expect(processesOf(dir).length).toBeGreaterThan(4);

  run.kill('SIGKILL');
  await eventually('an empty place', () => !existsSync(dir) && processesOf(dir).length === 0, { timeoutMs: 15_000 });
  expect(existsSync(`/proc/${qemu[0]}/exe`)).toBe(false);
});

test('a run that ends by itself takes its servers with it', async () => {
  const program = `
    import { startRedis, testRun } from ${JSON.stringify(join(import.meta.dirname, 'index.ts'))};
    const run = await testRun();
    await startRedis();
    await run.close();
    console.log(run.dir);`;
  const { NOVACRON_TEST_RUN: _ours, ...env } = process.env; // it opens a run of its own
  const run = spawn(process.execPath, ['--input-type=module', '-e', program], { stdio: ['ignore', 'pipe', 'inherit'], env });
  const [line] = (await once(run.stdout, 'data')) as [Buffer]; // its one line
  const dir = String(line).trim();
  expect(existsSync(dir)).toBe(false);
  expect(processesOf(dir)).toEqual([]);
});
