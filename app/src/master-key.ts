import { mkdir, open, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { randomBytes } from 'node:crypto';
import { DomainError } from '@novacron/core';

const KEY_BYTES = 32;

/** The key that secrets in the database are sealed with: made at the first start, for its owner alone. */
export async function loadOrCreateMasterKey(file: string): Promise<Buffer> {
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  try {
    const handle = await open(file, 'wx', 0o600);
    try {
      await handle.writeFile(randomBytes(KEY_BYTES));
      await handle.sync();
    } finally {
      await handle.close();
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error; // node:fs rejects with nothing else
  }
  const key = await readFile(file);
  if (key.length !== KEY_BYTES) throw new DomainError('INTERNAL', `${file} is no master key: it must hold ${KEY_BYTES} bytes.`);
  return key;
}
