import { createHash } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { withLock } from '@novacron/local';

/** Where parts and finished guests are kept between runs. */
export function guestCache(env: NodeJS.ProcessEnv = process.env): string {
  return env['NOVACRON_DATA'] ? join(env['NOVACRON_DATA'], 'cache') : '/var/tmp/novacron-cache';
}

/** One at a time on this machine: others wait and then find what was built. */
export function withCache<T>(cache: string, work: () => Promise<T>): Promise<T> {
  mkdirSync(cache, { recursive: true, mode: 0o755 });
  return withLock(`guest:${cache}`, work);
}

/**
 * The directory `prefix`-KEY, readable by every user. It is built when it is not there, and appears complete
 * or not at all. Another one is built when the ingredients change, or the sources in this folder.
 */
export async function cached(prefix: string, ingredients: readonly string[], build: (dir: string) => Promise<void>): Promise<string> {
  const key = createHash('sha256').update(JSON.stringify(ingredients)).update(JSON.stringify(sources()));
  const dir = `${prefix}-${key.digest('hex').slice(0, 16)}`;
  if (existsSync(dir)) return dir;
  const unfinished = mkdtempSync(`${dir}.`);
  try {
    await build(unfinished);
    for (const name of readdirSync(unfinished)) chmodSync(join(unfinished, name), 0o644);
    chmodSync(unfinished, 0o755);
    renameSync(unfinished, dir);
  } finally {
    rmSync(unfinished, { recursive: true, force: true });
  }
  return dir;
}

function sources(): string[] {
  const entries = readdirSync(import.meta.dirname, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile() && !entry.name.endsWith('.test.ts'));
  return files.map((file) => join(file.parentPath, file.name)).toSorted().map((path) => readFileSync(path, 'latin1'));
}
