import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdtempSync, readdirSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { tryLock } from '@novacron/local';

/**
 * One run of tests or of a bench on this machine: a directory, and a reaper that ends every process whose
 * pid file lies in it and removes it, as soon as the process that opened the run is gone, however it went.
 */
export interface TestRun {
  /** /var/tmp/novacron-test-XXXXXX; every user may enter it. */
  dir: string;
  /** Short and unique on this machine; for names that are not paths. */
  id: string;
  /** A new directory below it that every user may enter. */
  makeDirectory(name: string): string;
  /** Ends everything; resolves when nothing is left. Only the process that opened the run closes it. */
  close(): Promise<void>;
}

/** Tells the workers of a run, which are processes of their own, where it is. */
const RUN_VARIABLE = 'NOVACRON_TEST_RUN';
/** Not /tmp: it may be small, in memory, or private to a user. */
const PARENT = '/var/tmp';
const PREFIX = 'novacron-test-';

let opened: TestRun | undefined;

/** The run that this process is part of; the first call without one opens it. */
export async function testRun(): Promise<TestRun> {
  if (opened) return opened;
  const given = process.env[RUN_VARIABLE];
  if (given && existsSync(given)) return (opened = runAt(given, () => Promise.resolve()));
  await sweepStaleRuns();
  const dir = openDirectory(join(PARENT, PREFIX));
  const lock = await tryLock(`run:${dir}`); // lets go when we end: the sign of a live run
  const reaper = startReaper(dir);
  process.env[RUN_VARIABLE] = dir;
  opened = runAt(dir, async () => {
    opened = undefined;
    delete process.env[RUN_VARIABLE];
    reaper.ref();
    const ended = once(reaper, 'exit');
    reaper.stdin?.end();
    await ended;
    await lock?.release();
  });
  return opened;
}

const runAt = (dir: string, close: () => Promise<void>): TestRun => ({
  dir,
  id: basename(dir).slice(PREFIX.length),
  makeDirectory: (name) => openDirectory(join(dir, `${name}-`)),
  close,
});

function openDirectory(prefix: string): string {
  const dir = mkdtempSync(prefix);
  chmodSync(dir, 0o755); // PostgreSQL and Redis run as a user of their own
  return dir;
}

/** Its stdin is the life line: the kernel closes our end when we end, also by kill -9. */
function startReaper(dir: string): ChildProcess {
  const reaper = spawn(process.execPath, [join(import.meta.dirname, 'reaper.ts'), dir], {
    detached: true, // a Ctrl-C for us is not for it
    stdio: ['pipe', 'ignore', 'inherit'],
    cwd: '/',
  });
  reaper.unref();
  (reaper.stdin as unknown as { unref?(): void } | null)?.unref?.(); // a pipe to a child is a Socket
  return reaper;
}

/** Runs whose reaper was killed as well, or that a power cut ended. */
async function sweepStaleRuns(): Promise<void> {
  for (const name of readdirSync(PARENT).filter((entry) => entry.startsWith(PREFIX))) {
    const dir = join(PARENT, name);
    const lock = await tryLock(`run:${dir}`);
    if (lock === undefined) continue; // alive
    await lock.release();
    const changed = statSync(dir, { throwIfNoEntry: false })?.mtimeMs ?? Infinity;
    if (Date.now() - changed < 60_000) continue; // just made, its lock not yet taken
    startReaper(dir).stdin?.end();
  }
}
