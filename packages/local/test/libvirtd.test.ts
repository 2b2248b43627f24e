import { execFile, spawnSync } from 'node:child_process';
import { chownSync, copyFileSync, cpSync, existsSync, mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { eventually, guest, GUEST_UP, guestXml, startLibvirtHosts, testRun, type Guest } from '@novacron/testkit';
import { describe, expect, test } from 'vitest';
import { startTimeOf } from '../src/children.ts';
import { closedParent } from '../src/data-dir.ts';
import { startLibvirtd, type LocalLibvirtd } from '../src/libvirtd.ts';

const run = promisify(execFile);
const isRoot = process.getuid?.() === 0;
/** Has an account (libvirt looks it up) and nothing else. */
const NOBODY = 65534;
const noSystem = '/nowhere/libvirt-sock';

const newDir = async (): Promise<string> => (await testRun()).makeDirectory('lv');

async function virsh({ uri }: Pick<LocalLibvirtd, 'uri'>, ...args: string[]): Promise<string> {
  return (await run('virsh', ['-q', '-c', uri, ...args])).stdout.trim();
}

/** A copy whose owner is not root, as a user's own kernel would have. */
async function ownedGuest(dir: string): Promise<Guest> {
  const built = await guest();
  const bootDir = join(dir, 'boot');
  mkdirSync(bootDir);
  const [kernel, initrd] = [join(bootDir, 'vmlinuz'), join(bootDir, 'initrd.gz')];
  for (const [from, to] of [[built.kernel, kernel], [built.initrd, initrd]] as const) {
    copyFileSync(from, to);
    chownSync(to, 4242, 4242);
  }
  return { ...built, kernel, initrd, bootDir };
}

const qemuPid = (name: string): number => {
  const pids = readdirSync('/proc').filter((entry) => /^\d+$/.test(entry));
  const pid = pids.find((entry) => {
    try {
      return readFileSync(`/proc/${entry}/cmdline`, 'utf8').includes(`guest=${name},`);
    } catch {
      return false; // ended meanwhile
    }
  });
  return Number(pid);
};

describe.runIf(isRoot)('a private libvirtd', () => {
  test('runs guests without privileges, changes no file that is not its own, and they outlive it', async () => {
    const dir = await newDir();
    const first = await startLibvirtd({ dir, systemSocket: noSystem });
    expect(first).toMatchObject({ kind: 'private', reused: false });
    expect(statSync(join(dir, 'run')).mode & 0o777).toBe(0o700);

    const boot = await ownedGuest(dir);
    const name = `survivor-${process.pid}`;
    const log = join(dir, 'lib/qemu/console.log'); // libvirt makes it, as the console's log
    const unlabelled = "<seclabel type='none' model='dac'/></domain>"; // what NovaCron's domains say
    writeFileSync(join(dir, 'guest.xml'), guestXml(boot, { name, serialLog: '/var/lib/libvirt/qemu/console.log' }).replace('</domain>', unlabelled));
    await virsh(first, 'create', join(dir, 'guest.xml'));
    await eventually('the guest', () => readFileSync(log, 'utf8').includes(GUEST_UP), { timeoutMs: 30_000 });
    const pid = qemuPid(name);
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    expect(statSync(`/proc/${pid}`).uid).not.toBe(0);
    expect(status).toMatch(/^Seccomp:\s+2$/m); // 2: a filter. Source: proc_pid_status(5)
    expect(statSync(boot.kernel).uid).toBe(4242);

    await first.stop();
    expect(startTimeOf(first.pid ?? 0)).toBeUndefined();
    const second = await startLibvirtd({ dir, systemSocket: noSystem });
    expect(await virsh(second, 'domstate', name)).toBe('running');

    process.kill(second.pid ?? 0, 'SIGKILL');
    await eventually('the end of libvirtd', () => startTimeOf(second.pid ?? 0) === undefined);
    const third = await startLibvirtd({ dir, systemSocket: noSystem });
    expect(third.reused).toBe(false);
    expect(await virsh(third, 'domstate', name)).toBe('running');
    expect(qemuPid(name)).toBe(pid);

    await virsh(third, 'destroy', name);
    expect(statSync(boot.kernel).uid).toBe(4242);
    await third.stop();
  });

  test('is the same host for ever, and is used again after a kill -9 of whoever started it', async () => {
    const dir = await newDir();
    writeFileSync(join(dir, 'daemon'), 'private\n'); // as after an earlier start without a system libvirtd
    const { stdout } = spawnSync(process.execPath, [join(import.meta.dirname, 'start-and-die.ts'), 'libvirtd', dir], { encoding: 'utf8' });
    const orphan = JSON.parse(stdout) as LocalLibvirtd; // what start-and-die.ts prints
    const server = await startLibvirtd({ dir, systemSocket: noSystem });
    expect(server).toMatchObject({ reused: true, pid: orphan.pid });
    const uuid = readFileSync(join(dir, 'host-uuid'), 'utf8').trim();
    expect(await virsh(server, 'capabilities')).toContain(`<uuid>${uuid}</uuid>`);
    await server.stop();
    const again = await startLibvirtd({ dir, systemSocket: noSystem });
    expect(await virsh(again, 'capabilities')).toContain(`<uuid>${uuid}</uuid>`);
    await again.stop();
  });

  test('a system libvirtd that answers is used, left running, and missed when it is gone', async () => {
    const dir = await newDir();
    const { hosts, stop } = await startLibvirtHosts(1);
    const systemSocket = hosts[0]?.socketPath ?? '';
    const found = await startLibvirtd({ dir, systemSocket });
    expect(found).toMatchObject({ kind: 'system', socketPath: systemSocket, reused: true });
    await found.stop();
    expect(await virsh(found, 'hostname')).toBe('hv1');
    await stop();
    await expect(startLibvirtd({ dir, systemSocket })).rejects.toThrow(`does not answer on ${systemSocket}: start it`);
  });
});

// The program and node must be within reach of the other user; in a clone below /root they are not.
describe.runIf(isRoot && closedParent(import.meta.dirname) === undefined)('without root', () => {
  test('a session libvirtd runs guests as the user', async () => {
    const dir = await newDir();
    const home = join(dir, 'home');
    mkdirSync(home);
    chownSync(home, NOBODY, NOBODY);
    const { stdout, stderr } = spawnSync(
      process.execPath,
      [join(import.meta.dirname, 'start-and-die.ts'), 'libvirtd', join(home, 'libvirt')],
      { encoding: 'utf8', uid: NOBODY, gid: NOBODY, cwd: '/', env: { PATH: '/usr/bin:/bin', HOME: home } },
    );
    expect(stderr).toBe('');
    const session = JSON.parse(stdout) as LocalLibvirtd; // what start-and-die.ts prints
    expect(session).toMatchObject({ kind: 'session', reused: false });
    expect(statSync(`/proc/${session.pid}`).uid).toBe(NOBODY);
    const asUser = (...args: string[]): string =>
      spawnSync('virsh', ['-q', '-c', session.uri, ...args], { encoding: 'utf8', uid: NOBODY, gid: NOBODY, cwd: '/', env: { PATH: '/usr/bin:/bin', HOME: home } }).stdout.trim();
    cpSync((await guest()).bootDir, join(home, 'boot'), { recursive: true });
    writeFileSync(join(home, 'guest.xml'), guestXml(await guest(), { name: 'mine' }));
    asUser('create', join(home, 'guest.xml'));
    expect(asUser('domstate', 'mine')).toBe('running');
    expect(statSync(`/proc/${qemuPid('mine')}`).uid).toBe(NOBODY);
    asUser('destroy', 'mine');
    process.kill(session.pid ?? 0, 'SIGTERM');
    await eventually('the end of the session', () => !existsSync(`/proc/${session.pid}/exe`) || startTimeOf(session.pid ?? 0) === undefined);
  });
});
