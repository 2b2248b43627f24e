import { spawnSync } from 'node:child_process';
import { chmodSync, cpSync, mkdirSync, readFileSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { closedParent } from '@novacron/local';
import { testRun } from '@novacron/testkit';
import { expect, test } from 'vitest';

/** A clone in which every tool is a stand-in that writes down how it was called. */
async function clone(): Promise<{ run(env?: NodeJS.ProcessEnv, user?: { uid: number; gid: number }): { status: number | null; output: string }; calls(): string[]; dir: string }> {
  const dir = (await testRun()).makeDirectory('clone');
  cpSync(join(import.meta.dirname, 'setup.mjs'), join(dir, 'scripts/setup.mjs'));
  cpSync(join(import.meta.dirname, 'setup'), join(dir, 'scripts/setup'), { recursive: true });
  for (const name of ['app', 'gateway', 'packages/one', 'services/two', 'node_modules/.bin', 'bin']) mkdirSync(join(dir, name), { recursive: true });
  for (const name of ['.', 'app', 'gateway', 'packages/one', 'services/two']) writeFileSync(join(dir, name, 'package.json'), '{}');
  const log = join(dir, 'calls');
  writeFileSync(log, '');
  const tool = (path: string, more = ''): void => {
    writeFileSync(join(dir, path), `#!/bin/sh\necho "\${0##*/} $*" >> ${log}\n${more}\n`);
    chmodSync(join(dir, path), 0o755);
  };
  tool('bin/npm', 'exit ${NPM_EXIT:-0}');
  for (const name of ['qemu-system-x86_64', 'qemu-system-aarch64', 'qemu-img', 'libvirtd', 'virsh', 'redis-server', 'ssh', 'openssl', 'ip', 'dnsmasq', 'iptables']) tool(`bin/${name}`);
  symlinkSync(process.execPath, join(dir, 'node_modules/.bin/node'));
  return {
    dir,
    calls: () => readFileSync(log, 'utf8').trim().split('\n').filter(Boolean),
    run: (env = {}, user = undefined) => {
      const { status, stdout, stderr } = spawnSync(process.execPath, [join(dir, 'scripts/setup.mjs')], {
        encoding: 'utf8',
        env: { PATH: `${join(dir, 'bin')}:/usr/bin:/bin`, ...env },
        ...user,
      });
      return { status, output: `${stdout}${stderr}` };
    },
  };
}

test('npm packages are installed once, and again when a package.json changed', async () => {
  const { run, calls, dir } = await clone();
  expect(run().status).toBe(0);
  expect(calls()).toEqual(['npm install --no-audit --no-fund --loglevel=error']);
  expect(run()).toEqual({ status: 0, output: '' });
  expect(calls()).toHaveLength(1);
  writeFileSync(join(dir, 'packages/one/package.json'), '{ "name": "one" }');
  run();
  expect(calls()).toHaveLength(2);
});

test('without npm packages nothing works, and that is said', async () => {
  const { run, dir } = await clone();
  spawnSync('rm', [join(dir, 'node_modules/.bin/node')]);
  const { status, output } = run({ NPM_EXIT: '1' });
  expect(status).toBe(1);
  expect(output).toContain('setup: npm install failed, and nothing can run without its packages');
});

test('a failed npm install over packages that are there does not stop the rest, and is tried again', async () => {
  const { run, calls } = await clone();
  expect(run({ NPM_EXIT: '1' }).status).toBe(0);
  expect(run().status).toBe(0);
  expect(calls()).toHaveLength(2);
});

const isRoot = process.getuid?.() === 0;

/** Takes virsh and Redis away, and gives an apt-get that brings them. */
function withoutPrograms(dir: string): NodeJS.ProcessEnv {
  const bin = join(dir, 'bin');
  for (const name of ['virsh', 'redis-server']) renameSync(join(bin, name), join(dir, name));
  const script = `#!/bin/sh\necho "apt-get $* ($DEBIAN_FRONTEND)" >> ${dir}/calls\n[ "$1" = update ] || /bin/cp ${dir}/virsh ${dir}/redis-server ${bin}\n`;
  writeFileSync(join(bin, 'apt-get'), script, { mode: 0o755 });
  return { PATH: bin }; // not the machine's own programs
}

test.runIf(isRoot)('as root, missing Debian packages are installed, and only those', async () => {
  const { run, calls, dir } = await clone();
  run();
  const { status, output } = run(withoutPrograms(dir));
  expect(status).toBe(0);
  expect(output).toContain('Installing libvirt-clients redis-server');
  expect(calls().slice(1)).toEqual([
    'apt-get update -q (noninteractive)',
    'apt-get install -y -q --no-install-recommends libvirt-clients redis-server (noninteractive)',
  ]);
  expect(run({ PATH: join(dir, 'bin') })).toEqual({ status: 0, output: '' });
});

test.runIf(isRoot && closedParent(process.execPath) === undefined)('without root, the command is printed and the rest goes on', async () => {
  const { run, calls, dir } = await clone();
  run();
  const { status, output } = run(withoutPrograms(dir), { uid: 65534, gid: 65534 });
  expect(status).toBe(0);
  expect(output).toContain('sudo apt-get install -y -q --no-install-recommends libvirt-clients redis-server');
  expect(output).toContain('Without redis-server, NovaCron needs REDIS_URL');
  expect(calls()).toHaveLength(1);
});
