import { spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { rememberChild } from '@novacron/local';
import { eventually } from '@novacron/testkit';
import type { Loose } from './client.ts';

const REPOSITORY = join(import.meta.dirname, '../..');

export interface Exit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

/** `node app/src/main.ts ...`, as an operator or a supervisor starts it. */
export interface Started {
  readonly pid: number;
  readonly exited: Promise<Exit>;
  /** What it has printed so far. */
  readonly stdout: string;
  readonly stderr: string;
  /** Waits until it has printed this. Fails at once when it has ended without. */
  says(pattern: RegExp, timeoutMs?: number): Promise<RegExpExecArray>;
  /** Waits for a line of its log with this message. */
  logs(message: string): Promise<Loose>;
  /** Sends the signal and waits for the end. */
  end(signal: NodeJS.Signals): Promise<Exit & { ms: number }>;
}

export interface ProcessOptions {
  args: readonly string[];
  env: Record<string, string>;
  /** In a directory of the test run: ends the process if the test can't. */
  pidFile: string;
}

export function startProcess({ args, env, pidFile }: ProcessOptions): Started {
  const child = spawn(process.execPath, ['app/src/main.ts', ...args], {
    cwd: REPOSITORY,
    // Nothing of the test's own environment but what programs are found by.
    env: { PATH: process.env['PATH'] ?? '', HOME: process.env['HOME'] ?? '/', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const { pid } = child;
  if (pid === undefined) throw new Error('node could not be started.');
  rememberChild(pidFile, pid);
  const printed = { stdout: '', stderr: '' };
  for (const stream of ['stdout', 'stderr'] as const) child[stream].setEncoding('utf8').on('data', (text: string) => (printed[stream] += text));
  let exit: Exit | null = null;
  const exited = new Promise<Exit>((resolve) => {
    child.once('close', (code, signal) => {
      exit = { code, signal };
      resolve(exit);
    });
  });

  const started: Started = {
    pid,
    exited,
    get stdout() {
      return printed.stdout;
    },
    get stderr() {
      return printed.stderr;
    },
    async says(pattern, timeoutMs = 30_000) {
      const found = await eventually(
        `${args.join(' ') || 'NovaCron'} to say ${pattern}`,
        () => {
          const match = pattern.exec(printed.stdout);
          // what ended without is not waited for
          return match ?? (exit ? { ended: exit } : null);
        },
        { timeoutMs },
      );
      if ('ended' in found) throw new Error(`${args.join(' ')} ended with ${JSON.stringify(found.ended)}: ${printed.stderr}${printed.stdout.slice(-2_000)}`);
      return found;
    },
    async logs(message) {
      const [line = ''] = await started.says(new RegExp(`^.*"msg":"${message}".*$`, 'm'));
      return JSON.parse(line) as Loose;
    },
    async end(signal) {
      const startedAt = performance.now();
      if (exit === null) child.kill(signal);
      const late = new Error(`${args.join(' ')} did not end within 20 s of ${signal}: ${printed.stdout.slice(-2_000)}`);
      await eventually(late.message, () => exit !== null, { timeoutMs: 20_000 });
      return { ...(await exited), ms: performance.now() - startedAt };
    },
  };
  return started;
}

/** The pids of all that it has started, and of what those have. */
export function descendants(pid: number): number[] {
  const parents = new Map<number, number>();
  for (const name of readdirSync('/proc').filter((entry) => /^\d+$/.test(entry))) {
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'utf8');
      parents.set(Number(name), Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]));
    } catch {
      // ended meanwhile
    }
  }
  const found: number[] = [];
  for (let more = [pid]; more.length > 0; ) {
    more = [...parents].filter(([, parent]) => more.includes(parent)).map(([child]) => child);
    found.push(...more);
  }
  return found;
}

/** Does a process with this pid run? One that waits to be reaped does not. */
export function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}
