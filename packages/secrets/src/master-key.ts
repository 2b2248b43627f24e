import { randomBytes } from 'node:crypto';
import { link, mkdir, open, readFile, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { DomainError } from '@novacron/core';

const KEY_BYTES = 32;

/** The key that secrets in the database are sealed with: made at the first start, for its owner alone. */
export async function loadOrCreateMasterKey(file: string): Promise<Buffer<ArrayBuffer>> {
  const key = await read(file).catch(async (error: unknown) => {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error; // node:fs rejects with nothing else
    await create(file);
    return read(file);
  });
  if (key.length !== KEY_BYTES) throw new DomainError('INTERNAL', `${file} is no master key: it must hold ${KEY_BYTES} bytes.`);
  return key;
}

const read = async (file: string): Promise<Buffer<ArrayBuffer>> => Buffer.from(await readFile(file));

/** Whole or not at all, and by one process alone: a link fails where there is a file already. */
async function create(file: string): Promise<void> {
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  const unfinished = `${file}.${randomBytes(8).toString('hex')}`;
  try {
    const handle = await open(unfinished, 'wx', 0o600);
    try {
      await handle.writeFile(randomBytes(KEY_BYTES));
      await handle.sync();
    } finally {
      await handle.close();
    }
    await link(unfinished, file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error; // see above
  } finally {
    await rm(unfinished, { force: true });
  }
}
