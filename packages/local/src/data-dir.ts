import { accessSync, constants, mkdirSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { lockHolder, tryLock, type Lock } from './lock.ts';
import { LocalError } from './progress.ts';

/** Where everything that NovaCron keeps on this machine lives. */
export function dataDirectory(env: NodeJS.ProcessEnv = process.env): string {
  if (env['NOVACRON_DATA']) return resolve(env['NOVACRON_DATA']);
  if (process.getuid?.() === 0) return '/var/lib/novacron';
  return join(env['XDG_DATA_HOME'] || join(homedir(), '.local/share'), 'novacron');
}

/**
 * The user for servers that refuse root (PostgreSQL does) or that do not need it: nobody, when we are
 * root; otherwise whoever we are. 65534 is nobody:nogroup on Debian and Ubuntu.
 */
export function unprivilegedUser(): { uid: number; gid: number } | undefined {
  return process.getuid?.() === 0 ? { uid: 65534, gid: 65534 } : undefined;
}

/** Makes the data directory and sees to it that what must be reached below it can be. */
export function prepareDataDirectory(dir: string): void {
  try {
    mkdirSync(dir, { recursive: true, mode: 0o755 });
    accessSync(dir, constants.W_OK | constants.X_OK);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new LocalError(`The data directory ${dir} cannot be used (${reason}): set NOVACRON_DATA to one that can.`);
  }
  checkTraversable(dir);
  checkSocketPath(join(dir, 'libvirt/run/libvirt/libvirt-sock')); // the longest below it
}

/** As root, our servers run as other users: each directory on the way must let them through. */
export function checkTraversable(dir: string): void {
  if (process.getuid?.() !== 0) return;
  const closed = closedParent(dir);
  if (closed === undefined) return;
  throw new LocalError(
    `PostgreSQL and QEMU run as users without privileges and cannot enter ${closed}: ` +
      `set NOVACRON_DATA to a directory outside it, such as /var/lib/novacron, or open it with chmod o+x ${closed}.`,
  );
}

/** The first directory on the way to `path` that other users cannot enter. */
export function closedParent(path: string): string | undefined {
  const parents: string[] = [];
  for (let at = resolve(path); ; at = dirname(at)) {
    parents.unshift(at);
    if (at === dirname(at)) break;
  }
  return parents.find((parent) => {
    const info = statSync(parent, { throwIfNoEntry: false });
    return info?.isDirectory() === true && (info.mode & 0o001) === 0;
  });
}

/** A socket's path has room for 107 bytes (unix(7)); libvirt and PostgreSQL add suffixes to theirs. */
export function checkSocketPath(path: string): void {
  const length = Buffer.byteLength(path);
  if (length < 100) return;
  throw new LocalError(
    `The socket path ${path} has ${length} bytes, and fewer than 100 are allowed: set NOVACRON_DATA to a shorter directory.`,
  );
}

/** Claims the data directory for this process: two NovaCrons over the same data would fight. */
export async function claimDataDirectory(dir: string): Promise<Lock> {
  const name = `data:${resolve(dir)}`;
  const lock = await tryLock(name);
  if (lock !== undefined) return lock;
  const holder = (await lockHolder(name)) ?? 'unknown';
  throw new LocalError(
    `Another NovaCron (process ${holder}) already runs over ${dir}: stop it, or set NOVACRON_DATA to another directory.`,
  );
}
