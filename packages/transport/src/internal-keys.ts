import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { link, mkdir, open, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { newId } from '@novacron/core';

/** The Ed25519 pair with which the gateway proves itself to subgraphs. Only the gateway's process needs the private one. */
export interface InternalKeys {
  privateKey: KeyObject;
  publicKey: KeyObject;
}

const PRIVATE_FILE = 'gateway.key';
const PUBLIC_FILE = 'gateway.pub';

/**
 * The keys in a directory, made at the first call: `gateway.key` (mode 0600, for the gateway alone) and `gateway.pub`
 * (for every subgraph). Processes that call it at the same time get the same keys.
 */
export async function loadOrCreateInternalKeys(directory: string): Promise<InternalKeys> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const file = join(directory, PRIVATE_FILE);
  const { privateKey: made } = generateKeyPairSync('ed25519');
  await createOnce(file, made.export({ type: 'pkcs8', format: 'pem' }), 0o600);
  const privateKey = createPrivateKey(await readFile(file));
  const publicKey = createPublicKey(privateKey);
  await createOnce(join(directory, PUBLIC_FILE), publicKey.export({ type: 'spki', format: 'pem' }), 0o644);
  return { privateKey, publicKey };
}

/** The gateway's public key, from a PEM file that was copied to where a subgraph runs. */
export async function loadInternalPublicKey(file: string): Promise<KeyObject> {
  return createPublicKey(await readFile(file));
}

/** Writes the whole file or, when it exists already, nothing: a reader never sees half of it. */
async function createOnce(file: string, content: string | Buffer, mode: number): Promise<void> {
  const draft = `${file}.${newId()}`;
  const handle = await open(draft, 'wx', mode);
  try {
    await handle.writeFile(content);
    await handle.sync();
  } finally {
    await handle.close();
  }
  try {
    await link(draft, file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error; // node:fs rejects with nothing else
  } finally {
    await rm(draft);
  }
}
