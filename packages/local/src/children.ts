import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { LocalError } from './progress.ts';

/** A process that we started, now or in an earlier life. */
export interface Child {
  pid: number;
  /** False as soon as the process has ended, whoever ended it. */
  isAlive(): boolean;
}

export interface ChildOptions {
  command: string;
  args: readonly string[];
  /** Remembers the process, so that a later life of ours finds it again. */
  pidFile: string;
  /** Receives what the process prints. */
  logFile: string;
  env?: NodeJS.ProcessEnv;
  cwd?: string;
  user?: { uid: number; gid: number } | undefined;
}

export interface StopStep {
  signal: NodeJS.Signals;
  /** How long to wait for the end before the next step. */
  waitMs: number;
}

const bootId = (): string => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();

/**
 * When a process started, in clock ticks since boot, or undefined when it does not run. A pid alone
 * names nothing: the kernel gives it away again. A zombie has ended already.
 * Source: proc_pid_stat(5), fields 3 (state) and 22 (starttime); the name in field 2 may contain ')'.
 */
export function startTimeOf(pid: number): string | undefined {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return undefined;
  }
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return fields[0] === 'Z' || fields[0] === 'X' ? undefined : fields[19];
}

const runningChild = (pid: number, startTime: string): Child => ({
  pid,
  isAlive: () => startTimeOf(pid) === startTime,
});

/** Remembers a running process in a pid file; undefined when it has ended meanwhile. */
export function rememberChild(pidFile: string, pid: number): Child | undefined {
  const startTime = startTimeOf(pid);
  if (startTime === undefined) return undefined;
  writeFileSync(`${pidFile}.new`, JSON.stringify({ pid, startTime, bootId: bootId() }), { mode: 0o600 });
  renameSync(`${pidFile}.new`, pidFile); // never half a file, whenever we are killed
  return runningChild(pid, startTime);
}

/** The process that a pid file remembers, if exactly that process still runs. */
export function findChild(pidFile: string): Child | undefined {
  let remembered: { pid?: unknown; startTime?: unknown; bootId?: unknown };
  try {
    remembered = JSON.parse(readFileSync(pidFile, 'utf8')) as typeof remembered; // checked field by field below
  } catch {
    return undefined;
  }
  const { pid, startTime } = remembered;
  if (typeof pid !== 'number' || typeof startTime !== 'string' || remembered.bootId !== bootId()) return undefined;
  const child = runningChild(pid, startTime);
  return child.isAlive() ? child : undefined;
}

/**
 * Starts a process in a session of its own, so that a Ctrl-C meant for us does not reach it first, and
 * so that it outlives us: the next start finds it by its pid file.
 */
export async function startChild(options: ChildOptions): Promise<Child> {
  mkdirSync(dirname(options.logFile), { recursive: true });
  const log = openSync(options.logFile, 'a', 0o600);
  const child = spawn(options.command, options.args, {
    detached: true,
    stdio: ['ignore', log, log],
    cwd: options.cwd ?? '/',
    env: options.env ?? process.env,
    ...options.user,
  });
  closeSync(log);
  const failed = new Promise<Error>((resolve) => child.once('error', resolve));
  if (child.pid === undefined) {
    throw new LocalError(`${options.command} could not be started: ${(await failed).message}.`);
  }
  child.unref();
  try {
    const remembered = rememberChild(options.pidFile, child.pid);
    if (remembered !== undefined) return remembered;
  } catch (error) {
    child.kill('SIGKILL'); // what is not remembered would never be found again
    throw error;
  }
  const [code] = child.exitCode === null ? await once(child, 'exit') : [child.exitCode];
  throw new LocalError(`${options.command} ended at once (exit ${String(code)}): ${lastLines(options.logFile)}`);
}

/** The end of a log, for a message that says why something did not start. */
export function lastLines(logFile: string, count = 5): string {
  try {
    return readFileSync(logFile, 'utf8').trimEnd().split('\n').slice(-count).join(' | ') || 'it said nothing';
  } catch {
    return 'it said nothing';
  }
}

/** Ends the process that a pid file remembers, step by step harder, and forgets it. Idempotent. */
export async function stopChild(pidFile: string, steps: readonly StopStep[]): Promise<void> {
  const child = findChild(pidFile);
  for (const { signal, waitMs } of child === undefined ? [] : steps) {
    if (!child?.isAlive()) break;
    try {
      process.kill(child.pid, signal);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error; // node:process errors carry a code
    }
    const deadline = performance.now() + waitMs;
    while (child.isAlive() && performance.now() < deadline) await delay(10);
  }
  if (child?.isAlive()) throw new LocalError(`Process ${child.pid} (${pidFile}) does not end, not even by SIGKILL.`);
  rmSync(pidFile, { force: true });
}
