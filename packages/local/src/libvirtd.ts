import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { findChild, lastLines, rememberChild, startChild, stopChild, type Child, type StopStep } from './children.ts';
import { checkSocketPath, checkTraversable } from './data-dir.ts';
import { enterPrivateDirectories, preparePrivateDirectories, preparePrivateSession } from './libvirtd-config.ts';
import { withLock } from './lock.ts';
import { LocalError, type Progress } from './progress.ts';

export interface LibvirtdOptions {
  /** Everything of a private libvirtd lives below it. */
  dir: string;
  /** Where the system's own libvirtd would answer; undefined: /run/libvirt/libvirt-sock. */
  systemSocket?: string;
  /** Guests can't use the /dev/kvm of this machine, as proveAcceleration found: hide it from a private libvirtd. */
  hideKvm?: boolean;
  onProgress?: Progress;
}

/**
 * The libvirt of this machine. `system`: the distribution's own. `private`: ours, as root, in a mount
 * namespace. `session`: ours, without root.
 */
export interface LocalLibvirtd {
  kind: 'system' | 'private' | 'session';
  socketPath: string;
  /** For virsh -c and for logs: qemu+unix:///system?socket=... */
  uri: string;
  /** Of the daemon, when it is ours. */
  pid?: number;
  /** True when it was found alive rather than started. */
  reused: boolean;
  /** Ends the daemon if it is ours. Guests keep running; the next start finds them. */
  stop(): Promise<void>;
}

const run = promisify(execFile);

const STOP: readonly StopStep[] = [
  { signal: 'SIGTERM', waitMs: 15_000 },
  { signal: 'SIGKILL', waitMs: 5_000 }, // guests survive this too
];

/** Finds this machine's libvirtd, or starts a private one. Idempotent. */
export async function startLibvirtd(options: LibvirtdOptions): Promise<LocalLibvirtd> {
  checkTraversable(options.dir);
  mkdirSync(options.dir, { recursive: true, mode: 0o755 });
  return withLock(`libvirtd:${options.dir}`, () => start(options));
}

async function start(options: LibvirtdOptions): Promise<LocalLibvirtd> {
  const { dir, systemSocket = '/run/libvirt/libvirt-sock', hideKvm = false, onProgress = () => {} } = options;
  if (process.getuid?.() !== 0) return startOwn('session', { dir, hideKvm, onProgress });

  // Guests live where they were started, so the choice is made once and kept.
  const choiceFile = join(dir, 'daemon');
  const chosen = existsSync(choiceFile) ? readFileSync(choiceFile, 'utf8').trim() : undefined;
  const systemUri = `qemu+unix:///system?socket=${systemSocket}`;
  const systemAnswers = chosen !== 'private' && existsSync(systemSocket) && (await answers(systemUri));
  if (chosen === 'system' && !systemAnswers) {
    throw new LocalError(
      `The system's libvirtd, which holds this machine's guests, does not answer on ${systemSocket}: ` +
        `start it (systemctl start libvirtd), or delete ${choiceFile} to leave it and start a private one.`,
    );
  }
  if (chosen === undefined) writeFileSync(choiceFile, systemAnswers ? 'system\n' : 'private\n');
  if (!systemAnswers) return startOwn('private', { dir, hideKvm, onProgress });
  return { kind: 'system', socketPath: systemSocket, uri: systemUri, reused: true, stop: () => Promise.resolve() };
}

async function startOwn(
  kind: 'private' | 'session',
  { dir, hideKvm, onProgress }: { dir: string; hideKvm: boolean; onProgress: Progress },
): Promise<LocalLibvirtd> {
  const pidFile = join(dir, 'libvirtd.pid');
  const logFile = join(dir, 'libvirtd.out');
  const socketPath = kind === 'private' ? join(dir, 'run/libvirt-sock') : join(dir, 'run/libvirt/libvirt-sock');
  const uri = `qemu+unix:///${kind === 'private' ? 'system' : 'session'}?socket=${socketPath}`;
  checkSocketPath(socketPath);

  const found = findChild(pidFile) ?? adoptDaemon(dir, pidFile);
  const stop = (): Promise<void> => stopChild(pidFile, STOP);
  if (found !== undefined) {
    await ready(found, { uri, socketPath, logFile });
    return { kind, socketPath, uri, pid: found.pid, reused: true, stop };
  }
  onProgress('Starting a private libvirtd');
  const hostUuid = keepHostUuid(join(dir, 'host-uuid'));
  rmSync(socketPath, { force: true });
  const program =
    kind === 'private'
      ? enterPrivateDirectories(preparePrivateDirectories(dir, hostUuid, hideKvm), hideKvm)
      : preparePrivateSession(dir, hostUuid);
  const launcher = join(dir, 'launcher.pid');
  const launched = await startChild({ ...program, pidFile: launcher, logFile });
  try {
    await ready(launched, { uri, socketPath, logFile });
    const daemon = adoptDaemon(dir, pidFile);
    if (daemon === undefined) throw new LocalError(`libvirtd ended while it started: ${lastLines(logFile)}`);
    return { kind, socketPath, uri, pid: daemon.pid, reused: false, stop };
  } catch (error) {
    await stopChild(launcher, [{ signal: 'SIGKILL', waitMs: 5_000 }]);
    throw error;
  }
}

/** The daemon by the pid file of its own, which it writes and nobody removes when it is killed. */
function adoptDaemon(dir: string, pidFile: string): Child | undefined {
  try {
    const pid = Number(readFileSync(join(dir, 'run/libvirtd.pid'), 'utf8'));
    const isOurs = ['mountinfo', 'cmdline'].some((file) => readFileSync(`/proc/${pid}/${file}`, 'utf8').includes(dir));
    const isLibvirtd = readFileSync(`/proc/${pid}/comm`, 'utf8') === 'libvirtd\n';
    return isOurs && isLibvirtd ? rememberChild(pidFile, pid) : undefined;
  } catch {
    return undefined; // no such file or no such process
  }
}

/** A host is the UUID that its libvirt reports: made once and kept for ever. */
function keepHostUuid(file: string): string {
  if (!existsSync(file)) writeFileSync(file, `${randomUUID()}\n`, { flag: 'wx' });
  return readFileSync(file, 'utf8').trim();
}

async function answers(uri: string): Promise<boolean> {
  try {
    await run('virsh', ['-q', '-c', uri, 'hostname'], { timeout: 15_000, killSignal: 'SIGKILL' });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') return false; // node's spawn errors carry a code
    throw new LocalError('virsh is not installed: apt-get install libvirt-clients (npm start does it as root).');
  }
}

/** Waits until the daemon answers a call, not only until it listens. */
async function ready(child: Child, daemon: { uri: string; socketPath: string; logFile: string }): Promise<void> {
  const deadline = performance.now() + 60_000;
  while (!existsSync(daemon.socketPath) || !(await answers(daemon.uri))) {
    if (!child.isAlive()) throw new LocalError(`libvirtd ended while it started: ${lastLines(daemon.logFile)}`);
    if (performance.now() > deadline) throw new LocalError(`libvirtd did not answer within 60 s: ${lastLines(daemon.logFile)}`);
    await delay(20);
  }
}
