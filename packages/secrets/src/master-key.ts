import { randomBytes } from 'node:crypto';
import { chown, link, mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { DomainError } from '@novacron/core';

/**
 * The file of the keys that secrets in the database are sealed with: 32 bytes, or while they are being changed 32 for each key, the one
 * that seals first. Beside it, in a file of its own, a key that is announced: everybody opens with it before anybody seals with it.
 */

const KEY_BYTES = 32;

export const announcedFile = (file: string): string => `${file}.next`;

type Keys = [Buffer<ArrayBuffer>, ...Buffer<ArrayBuffer>[]];

/** INTERNAL for what is no file of keys. */
export function parseMasterKeys(file: string, bytes: Uint8Array): Keys {
  const [first, ...others] = Array.from({ length: bytes.length / KEY_BYTES }, (_, at) => Buffer.from(bytes.subarray(at * KEY_BYTES, (at + 1) * KEY_BYTES)));
  if (first === undefined || bytes.length % KEY_BYTES !== 0) throw new DomainError('INTERNAL', `${file} is no master key: it must hold ${KEY_BYTES} bytes.`);
  return [first, ...others];
}

/** The keys of that file, the one that seals first; made at the first start, for its owner alone. */
export async function loadOrCreateMasterKeys(file: string): Promise<Keys> {
  const bytes = await readIfThere(file);
  if (bytes !== null) return parseMasterKeys(file, bytes);
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  await create(file, null);
  return parseMasterKeys(file, await readFile(file));
}

/** What is to be done with a file of keys, each of it once: doing it again changes nothing. */

/** Makes the key that is to come, unless one is announced or its predecessor still opens. */
export async function announceKey(file: string): Promise<void> {
  const keys = parseMasterKeys(file, await readFile(file));
  if (keys.length === 1) await create(announcedFile(file), file);
}

/** From now on the announced key seals, and those before open. */
export async function promoteKey(file: string): Promise<void> {
  const announced = await readIfThere(announcedFile(file));
  if (announced === null) return;
  const [key] = parseMasterKeys(announcedFile(file), announced);
  const keys = parseMasterKeys(file, await readFile(file));
  if (!keys.some((known) => known.equals(key))) await replace(file, Buffer.concat([key, ...keys]));
  await rm(announcedFile(file), { force: true });
}

/** Only the key that seals is left. What the others have sealed is lost. */
export async function dropKeys(file: string): Promise<void> {
  const [key, ...others] = parseMasterKeys(file, await readFile(file));
  if (others.length > 0) await replace(file, key);
}

const codeOf = (error: unknown): string | undefined => (error as NodeJS.ErrnoException).code; // node:fs rejects with nothing else

const readIfThere = (file: string): Promise<Buffer | null> =>
  readFile(file).catch((error: unknown) => {
    if (codeOf(error) === 'ENOENT') return null;
    throw error;
  });

/** A new key: whole or not at all, and by one process alone, since a link fails where there is a file already. */
async function create(file: string, like: string | null): Promise<void> {
  const unfinished = await write(file, randomBytes(KEY_BYTES), like);
  try {
    await link(unfinished, file);
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error;
  } finally {
    await rm(unfinished, { force: true });
  }
}

/** Other keys in a file that is there, whose owner keeps it: whole or not at all. */
async function replace(file: string, bytes: Uint8Array): Promise<void> {
  const unfinished = await write(file, bytes, file);
  await rename(unfinished, file).catch(async (error: unknown) => {
    await rm(unfinished, { force: true });
    throw error;
  });
}

/** `like`: a file whose owner this one's is, too, whoever writes it. */
async function write(file: string, bytes: Uint8Array, like: string | null): Promise<string> {
  const unfinished = `${file}.${randomBytes(8).toString('hex')}`;
  const handle = await open(unfinished, 'wx', 0o600);
  try {
    await handle.writeFile(bytes);
    await handle.sync();
  } finally {
    await handle.close();
  }
  const owner = like === null ? null : await stat(like);
  if (owner !== null && owner.uid !== process.getuid?.()) await chown(unfinished, owner.uid, owner.gid);
  return unfinished;
}
