/**
 * The end of a test run: waits until its stdin closes, then ends every process that belongs to the run's
 * directory and removes the directory. A program of its own, started by run.ts, so that it is still there
 * when the run was killed with -9.
 */
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { findChild, stopChild, type StopStep } from '@novacron/local';
import { removeControlGroup } from './control-groups.ts';

const KILL: StopStep = { signal: 'SIGKILL', waitMs: 5_000 };
/** PostgreSQL's immediate shutdown also gives its shared memory back. */
const QUIT: StopStep = { signal: 'SIGQUIT', waitMs: 5_000 };

function filesBelow(dir: string, depth: number): string[] {
  try {
    return readdirSync(dir, { withFileTypes: true }).flatMap((entry) => {
      const at = join(dir, entry.name);
      if (entry.isDirectory()) return depth > 0 ? filesBelow(at, depth - 1) : [];
      return [at];
    });
  } catch {
    return []; // removed meanwhile
  }
}

/** The deepest pid file is that of a host: run/hosts/hv1/host.pid. */
const pidFiles = (dir: string): string[] => filesBelow(dir, 3).filter((file) => file.endsWith('.pid') && findChild(file));

/** Guests outlive their libvirtd, but the mounts of their namespace show to whom they belong. */
function processesMounting(dir: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/mountinfo`, 'utf8').includes(`${dir}/`);
      } catch {
        return false; // ended meanwhile
      }
    })
    .map(Number);
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // ended meanwhile
  }
}

/** A host wrote down its control groups; nothing else knows where they are. */
function removeControlGroups(dir: string): void {
  const lists = filesBelow(dir, 3).filter((file) => basename(file) === 'cgroups');
  const groups = lists.flatMap((file) => readFileSync(file, 'utf8').split('\n'));
  groups.filter((group) => group !== '').forEach(removeControlGroup);
}

/** True when nothing of the run is left. Workers of a killed run may still start things: hence repeated. */
async function reap(dir: string): Promise<boolean> {
  try {
    const files = pidFiles(dir);
    await Promise.all(files.map((file) => stopChild(file, file.endsWith('postgres.pid') ? [QUIT, KILL] : [KILL])));
    processesMounting(dir).forEach(kill);
    removeControlGroups(dir);
    rmSync(dir, { recursive: true, force: true, maxRetries: 3 });
    return true;
  } catch {
    return false;
  }
}

const dir = process.argv[2];
if (dir === undefined) throw new Error('usage: reaper.ts RUN_DIRECTORY < LIFE_LINE');
process.on('SIGHUP', () => undefined); // the terminal went, perhaps with the run: that is when we work
await new Promise<void>((resolve) => process.stdin.on('end', resolve).on('error', () => resolve()).resume());
for (let pass = 0; pass < 100 && !(await reap(dir)); pass += 1) await delay(100);
