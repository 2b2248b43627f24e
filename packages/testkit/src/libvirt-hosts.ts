import { execFile } from 'node:child_process';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import { makePki, type Pki, startChild, stopChild } from '@novacron/local';
import { eventually } from './eventually.ts';
import { startLibvirtHost, type TestHost } from './libvirt-host.ts';
import { testRun } from './run.ts';

export interface LibvirtHostsOptions {
  /** Further lines for every host's qemu.conf. */
  qemuConfiguration?: string;
  /** Certificates for every host; their libvirtds listen with TLS as well, and guests migrate with --tls. */
  tls?: boolean;
}

export interface LibvirtHosts {
  hosts: readonly TestHost[];
  /** With TLS: the files of a client that all hosts take. */
  pki: Pki['client'] | undefined;
  /** Stops every host and their network. Idempotent. */
  stop(): Promise<void>;
}

const run = promisify(execFile);

/** Private to the fabric's and the hosts' network namespaces: every set of hosts has the same. */
const NETWORK = '10.77.0';

/**
 * Starts `count` libvirt hosts on this machine, joined by a network of their own. They can run guests
 * (under TCG), be killed, and migrate guests between each other (peer to peer: 10.77.0.x is not routed
 * from outside). Needs root. Several sets fit on one machine.
 */
export async function startLibvirtHosts(count: number, options: LibvirtHostsOptions = {}): Promise<LibvirtHosts> {
  if (process.getuid?.() !== 0) throw new Error('Test hosts need root: they are made of namespaces and mounts.');
  const testRunOfHosts = await testRun();
  const dir = testRunOfHosts.makeDirectory('hosts');
  const names = Array.from({ length: count }, (_, index) => ({ name: `hv${index + 1}`, address: `${NETWORK}.${index + 1}` }));
  const pki = options.tls ? await makePki(join(dir, 'pki'), names.map(({ name, address }) => ({ name, addresses: [address] }))) : undefined;
  const fabricPid = await startFabric(dir);
  const hostsFile = ['127.0.0.1 localhost', ...names.map(({ name, address }) => `${address} ${name}`), ''].join('\n');
  const started = await Promise.allSettled(
    names.map(({ name, address }) =>
      startLibvirtHost({
        dir: join(dir, name),
        name,
        address,
        hostsFile,
        controlGroup: `novacron-test-${basename(dir)}-${name}`,
        qemuConfiguration: options.qemuConfiguration ?? '',
        pki: pki?.hosts.find((host) => host.name === name)?.directory,
        plug: (pid) => plug(fabricPid, pid, { name, address }),
      }),
    ),
  );
  const hosts = started.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
  const stop = async (): Promise<void> => {
    await Promise.all(hosts.map((host) => host.stop()));
    await stopChild(join(dir, 'fabric.pid'), [{ signal: 'SIGKILL', waitMs: 5_000 }]);
    rmSync(dir, { recursive: true, force: true });
  };
  const failed = started.find((result) => result.status === 'rejected');
  if (failed) {
    await stop();
    throw failed.reason;
  }
  return { hosts, pki: pki?.client, stop };
}

/** A bridge in a network namespace of its own; returns the pid of the process that keeps the namespace. */
async function startFabric(dir: string): Promise<number> {
  const script = [
    'set -e',
    'ip link add sw0 type bridge',
    'ip link set sw0 up',
    `ip address add ${NETWORK}.254/24 dev sw0`,
    ': > "$0/fabric.ready"',
    'exec sleep infinity',
  ].join('\n');
  const logFile = join(dir, 'fabric.out');
  const fabric = await startChild({
    command: 'unshare',
    args: ['--net', 'sh', '-c', script, dir],
    pidFile: join(dir, 'fabric.pid'),
    logFile,
  });
  await eventually('the network between the hosts', () => {
    if (!fabric.isAlive()) throw new Error(readFileSync(logFile, 'utf8'));
    return existsSync(join(dir, 'fabric.ready'));
  });
  return fabric.pid;
}

async function plug(fabric: number, host: number, { name, address }: { name: string; address: string }): Promise<void> {
  const inside = (pid: number, ...args: string[]): Promise<unknown> => run('nsenter', ['-t', String(pid), '-n', 'ip', ...args]);
  await inside(fabric, 'link', 'add', `to-${name}`, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', String(host));
  await inside(fabric, 'link', 'set', `to-${name}`, 'master', 'sw0', 'up');
  await inside(host, 'address', 'add', `${address}/24`, 'dev', 'eth0');
  await inside(host, 'link', 'set', 'eth0', 'up');
}
