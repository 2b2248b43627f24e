import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

/** Remembers what was done last, by the fingerprint of what it was done from; gone with node_modules. */
const stampFile = (root) => join(root, 'node_modules/.novacron-setup');

export function readStamps(root) {
  try {
    return JSON.parse(readFileSync(stampFile(root), 'utf8'));
  } catch {
    return {};
  }
}

export function writeStamp(root, key, value) {
  const file = stampFile(root);
  mkdirSync(join(root, 'node_modules'), { recursive: true });
  writeFileSync(`${file}.${process.pid}`, `${JSON.stringify({ ...readStamps(root), [key]: value }, null, 2)}\n`);
  renameSync(`${file}.${process.pid}`, file);
}

/** One hash over the names and contents of files; a file that is missing counts as such. */
export function fingerprint(files) {
  const hash = createHash('sha256');
  for (const file of files.toSorted()) {
    hash.update(`${file}\0`);
    try {
      hash.update(readFileSync(file));
    } catch {
      hash.update('missing');
    }
  }
  return hash.digest('hex').slice(0, 32);
}

/**
 * Runs `work` while no other setup works on this clone (npm start and npm test at once, say). The turn is
 * the listener of an abstract UNIX socket (unix(7)): it ends with the process, whatever ends it.
 */
export async function takeTurn(root, work) {
  const name = `\0novacron-setup-${createHash('sha256').update(root).digest('hex').slice(0, 24)}`;
  const listen = () =>
    new Promise((resolve, reject) => {
      const server = createServer();
      server.once('listening', () => resolve(server));
      server.once('error', (error) => (error.code === 'EADDRINUSE' ? resolve(undefined) : reject(error)));
      server.listen(name);
    });
  let server = await listen();
  if (!server) console.log('  Another setup works on this clone; waiting for it.');
  while (!server) {
    await delay(200);
    server = await listen();
  }
  try {
    return await work();
  } finally {
    await new Promise((resolve) => server.close(resolve));
  }
}
