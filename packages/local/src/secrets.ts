import { randomBytes } from 'node:crypto';
import { chmodSync, chownSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { unprivilegedUser } from './data-dir.ts';

/** The password in a file that only we can read; made on first use. Its letters need no escaping in a URL. */
export function keepPassword(file: string): string {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error; // node:fs errors carry a code
  }
  const password = randomBytes(24).toString('base64url');
  writeSecret(file, `${password}\n`);
  return password;
}

/** Writes a file that only its owner (we, unless named) can read at any moment, and never half of it. */
export function writeSecret(file: string, content: string, owner?: { uid: number; gid: number }): void {
  const unfinished = `${file}.new`;
  rmSync(unfinished, { force: true }); // one left over keeps its mode
  writeFileSync(unfinished, content, { mode: 0o600, flag: 'wx' });
  if (owner) chownSync(unfinished, owner.uid, owner.gid);
  renameSync(unfinished, file);
}

/** A directory for a server of ours: only the user that runs it (and root) can enter. */
export function ownDirectory(dir: string): void {
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  chmodSync(dir, 0o700); // it may have been there with another mode
  const user = unprivilegedUser();
  if (user) chownSync(dir, user.uid, user.gid);
}
