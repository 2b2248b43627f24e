import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { startChild, stopChild } from '@novacron/local';
import { availableControlGroups, removeControlGroup } from './control-groups.ts';
import { eventually } from './eventually.ts';
import { daemonConfiguration, qemuConfiguration, QEMU_TLS } from './libvirt-host-config.ts';

/** A libvirt host of its own on this machine: namespaces, a libvirtd, a place on the hosts' common network. */
export interface TestHost {
  /** hv1, hv2, ...: also its host name, as the other hosts resolve it. */
  name: string;
  /** On the hosts' common network. */
  address: string;
  /** The host UUID that its libvirt reports. */
  uuid: string;
  /** Reachable from outside the host's namespaces. */
  socketPath: string;
  /** For virsh -c: qemu+unix:///system?socket=... */
  uri: string;
  /** virsh on this host, from outside; resolves to what it printed. */
  virsh(...args: string[]): Promise<string>;
  /** A command inside the host's namespaces; resolves to what it printed. */
  exec(command: string, ...args: string[]): Promise<string>;
  /** The pids, as seen from outside, of the host's running QEMU processes. */
  qemuPids(): number[];
  /** Ends libvirtd (SIGTERM unless told otherwise) and waits until it has ended; guests keep running. */
  killDaemon(signal?: NodeJS.Signals): Promise<void>;
  /** Starts libvirtd and waits until it answers. */
  startDaemon(): Promise<void>;
  /** A host's power cut: libvirtd, guests and all else of it are gone. Idempotent. */
  stop(): Promise<void>;
}

export interface HostPlace {
  /** Everything of the host lives below it. */
  dir: string;
  name: string;
  address: string;
  /** What hosts on the common network are called. */
  hostsFile: string;
  /** Unique on this machine. */
  controlGroup: string;
  qemuConfiguration: string;
  /** What the host finds as /etc/pki, if it speaks TLS. */
  pki: string | undefined;
  /** Plugs the network namespace of this process into the hosts' common network. */
  plug(pid: number): Promise<void>;
}

const run = promisify(execFile);

/** Starts one host; its daemon answers when this resolves. */
export async function startLibvirtHost(place: HostPlace): Promise<TestHost> {
  const { dir, name } = place;
  const uuid = randomUUID();
  const groups = availableControlGroups(place.controlGroup);
  prepareDirectories(place, uuid, groups.map((group) => group.controller));
  const pidFile = join(dir, 'host.pid');
  const logFile = join(dir, 'host.out');
  for (const group of groups) mkdirSync(group.dir, { recursive: true });
  writeFileSync(join(dir, 'cgroups'), groups.map((group) => `${group.dir}\n`).join('')); // for the reaper
  const outer = await startChild({
    command: 'bash',
    args: [join(import.meta.dirname, 'libvirt-host.sh'), 'enter', dir, name, ...groups.map((group) => group.dir)],
    pidFile,
    logFile,
  });
  await eventually(`the namespaces of ${name}`, () => {
    if (!outer.isAlive()) throw new Error(readFileSync(logFile, 'utf8'));
    return existsSync(join(dir, 'ready'));
  });
  const init = Number(readFileSync(`/proc/${outer.pid}/task/${outer.pid}/children`, 'utf8').trim());
  await place.plug(init);

  const socketPath = join(dir, 'run/libvirt-sock');
  const uri = `qemu+unix:///system?socket=${socketPath}`;
  const inside = (...command: string[]): Promise<string> =>
    output('nsenter', ['-t', String(init), '-m', '-n', '-u', '-p', '-i', '-C', '--', ...command]);
  const daemonPids = (): number[] => processesIn(init, 'libvirtd');

  const host: TestHost = {
    name,
    address: place.address,
    uuid,
    socketPath,
    uri,
    virsh: (...args) => output('virsh', ['-q', '-c', uri, ...args]),
    exec: inside,
    qemuPids: () => processesIn(init, 'qemu-system-'),
    killDaemon: async (signal = 'SIGTERM') => {
      for (const pid of daemonPids()) process.kill(pid, signal);
      await eventually(`the end of libvirtd on ${name}`, () => daemonPids().length === 0, { timeoutMs: 20_000 });
    },
    startDaemon: async () => {
      // Joins the host's control groups first: nsenter enters their namespace, but leaves us in ours.
      await inside('sh', '-c', `for group in /sys/fs/cgroup/*/cgroup.procs; do [ ! -e $group ] || echo $$ > $group; done
        exec libvirtd --daemon --listen --pid-file /run/libvirt/libvirtd.pid`);
      await eventually(`libvirtd on ${name}`, () => host.virsh('hostname'), { timeoutMs: 30_000 });
    },
    stop: async () => {
      await stopChild(pidFile, [{ signal: 'SIGKILL', waitMs: 5_000 }]);
      await eventually(`the end of ${name}`, () => !existsSync(`/proc/${init}/ns/pid`) || isZombie(init));
      for (const group of groups) {
        await eventually(`an empty ${group.dir}`, () => {
          removeControlGroup(group.dir);
          return true;
        });
      }
      rmSync(dir, { recursive: true, force: true });
    },
  };
  try {
    await host.startDaemon();
  } catch (error) {
    const log = join(dir, 'log/libvirtd.log');
    const reason = existsSync(log) ? readFileSync(log, 'utf8').trim() : String(error);
    await host.stop();
    throw new Error(`libvirtd did not start on ${name}: ${reason}`, { cause: error });
  }
  return host;
}

function prepareDirectories(place: HostPlace, uuid: string, controllers: string[]): void {
  const { dir } = place;
  for (const name of ['etc', 'lib', 'cache', 'log', 'run']) mkdirSync(join(dir, name), { recursive: true });
  if (existsSync('/etc/libvirt/nwfilter')) cpSync('/etc/libvirt/nwfilter', join(dir, 'etc/nwfilter'), { recursive: true });
  if (place.pki !== undefined) cpSync(place.pki, join(dir, 'pki'), { recursive: true });
  const qemuLines = `${place.pki === undefined ? '' : QEMU_TLS}${place.qemuConfiguration}`;
  writeFileSync(join(dir, 'etc/libvirtd.conf'), daemonConfiguration(uuid, place.pki !== undefined));
  writeFileSync(join(dir, 'etc/qemu.conf'), qemuConfiguration(place.address, controllers, qemuLines));
  writeFileSync(join(dir, 'hosts'), place.hostsFile);
}

async function output(command: string, args: string[]): Promise<string> {
  try {
    return (await run(command, args, { maxBuffer: 64 << 20 })).stdout.trim();
  } catch (error) {
    const { stderr } = error as { stderr?: string }; // execFile's errors carry what was printed
    throw new Error(stderr?.trim() || String(error), { cause: error });
  }
}

/** Processes of the PID namespace whose process 1 is `init`, by the start of their name; as seen from outside. */
function processesIn(init: number, name: string): number[] {
  try {
    const namespace = readlinkSync(`/proc/${init}/ns/pid`);
    return readdirSync('/proc')
      .filter((pid) => /^\d+$/.test(pid) && belongsTo(pid, namespace, name))
      .map(Number);
  } catch {
    return []; // the host is off
  }
}

function belongsTo(pid: string, namespace: string, name: string): boolean {
  try {
    if (!readFileSync(`/proc/${pid}/comm`, 'utf8').startsWith(name)) return false;
    return readlinkSync(`/proc/${pid}/ns/pid`) === namespace && !isZombie(Number(pid));
  } catch {
    return false; // ended meanwhile
  }
}

function isZombie(pid: number): boolean {
  try {
    return /^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return true;
  }
}
