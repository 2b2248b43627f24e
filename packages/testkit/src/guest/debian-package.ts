import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Downloads a Debian package and unpacks it into `target`, which appears complete or not at all. */
export async function unpackPackage(name: string, target: string): Promise<void> {
  const work = mkdtempSync(`${target}.`);
  try {
    await run('apt-get', ['download', '-q', name], { cwd: work });
    const file = readdirSync(work).find((entry) => entry.endsWith('.deb'));
    if (file === undefined) throw new Error(`apt-get download ${name} brought nothing.`);
    await run('dpkg-deb', ['-x', join(work, file), join(work, 'unpacked')]);
    rmSync(target, { recursive: true, force: true });
    renameSync(join(work, 'unpacked'), target);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/**
 * A file of a Debian package: the installed one, or that of the package unpacked in the cache. Nothing is
 * installed: a guest agent's service, say, would come to life on this machine.
 */
export async function fileOfPackage(path: string, name: string, cache: string): Promise<string> {
  if (existsSync(path)) return path;
  const unpacked = join(cache, name);
  if (!existsSync(join(unpacked, path))) await unpackPackage(name, unpacked);
  if (!existsSync(join(unpacked, path))) throw new Error(`The package ${name} holds no ${path}.`);
  return join(unpacked, path);
}
