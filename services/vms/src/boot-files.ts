import { realpath, stat } from 'node:fs/promises';
import { normalize, sep } from 'node:path';
import { DomainError } from '@novacron/core';

/** Direct kernel boot: files on the host. */
export interface KernelBoot {
  kernel: string;
  initrd: string | null;
  cmdline: string | null;
}

const isBelow = (path: string, directory: string): boolean => path.startsWith(directory.endsWith(sep) ? directory : directory + sep);

const bad = (field: string, message: string) => new DomainError('BAD_USER_INPUT', message, { field });

/**
 * The path, if it is absolute and lies below an allowed directory as it is written. What links make of it only the
 * host can tell: see resolveBootFile.
 */
export function checkBootPath(path: string, field: string, directories: readonly string[]): string {
  if (!path.startsWith('/') || path.includes('\u0000')) throw bad(field, 'A boot file is named by its absolute path on the host.');
  const plain = normalize(path);
  if (!directories.some((directory) => isBelow(plain, normalize(directory)))) {
    throw bad(field, 'This path is outside of the directories that NOVACRON_BOOT_DIRS allows.');
  }
  return plain;
}

/** On the host: where the file really is, still below an allowed directory after .. and links. */
async function resolveBootFile(path: string, field: string, directories: readonly string[]): Promise<string> {
  checkBootPath(path, field, directories);
  const real = await realpath(path).catch(() => null);
  // A link out of the directories and a missing file give the same answer: this is no way to look around on a host.
  const allowed = await Promise.all(directories.map((directory) => realpath(directory).catch(() => null)));
  if (real === null || !allowed.some((directory) => directory !== null && isBelow(real, directory))) {
    throw bad(field, `There is no such boot file on the host: ${path}`);
  }
  if (!(await stat(real)).isFile()) throw bad(field, `This boot file is not a regular file: ${path}`);
  return real;
}

/** On the host: both files resolved, or BAD_USER_INPUT with the field at fault. */
export const resolveBootFiles = async (boot: KernelBoot, directories: readonly string[]): Promise<KernelBoot> => ({
  kernel: await resolveBootFile(boot.kernel, 'kernel.kernel', directories),
  initrd: boot.initrd === null ? null : await resolveBootFile(boot.initrd, 'kernel.initrd', directories),
  cmdline: boot.cmdline,
});
