import { createHash } from 'node:crypto';
import { connect, createServer } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { LocalError } from './progress.ts';

export interface Lock {
  release(): Promise<void>;
}

/**
 * Takes the lock called `name`, or undefined while someone else on this machine has it. A lock is the
 * listener of an abstract UNIX socket: binding is atomic, and the kernel lets go when the process ends,
 * also by kill -9, so nothing stale is ever left. Source: unix(7), "Abstract".
 */
export async function tryLock(name: string): Promise<Lock | undefined> {
  const server = createServer((socket) => socket.on('error', () => undefined).end(String(process.pid)));
  const taken = await new Promise<boolean>((resolve, reject) => {
    server.once('listening', () => resolve(true));
    server.once('error', (error: NodeJS.ErrnoException) =>
      error.code === 'EADDRINUSE' ? resolve(false) : reject(error),
    );
    server.listen(address(name));
  });
  if (!taken) return undefined;
  server.unref();
  return { release: () => new Promise((resolve) => server.close(() => resolve())) };
}

const address = (name: string): string => `\0novacron-${createHash('sha256').update(name).digest('hex').slice(0, 32)}`;

/** The pid of the process that has the lock, or undefined when nobody has it or it does not say. */
export async function lockHolder(name: string): Promise<number | undefined> {
  return new Promise((resolve) => {
    let text = '';
    const socket = connect(address(name));
    socket.setTimeout(1000, () => socket.destroy());
    socket.on('data', (chunk) => (text += String(chunk)));
    socket.on('error', () => undefined);
    socket.on('close', () => resolve(text === '' ? undefined : Number(text)));
  });
}

/** Runs `work` while nobody else on this machine runs under the same name. */
export async function withLock<T>(name: string, work: () => Promise<T>, timeoutMs = 120_000): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  let lock = await tryLock(name);
  while (lock === undefined) {
    if (performance.now() > deadline) {
      throw new LocalError(`${name} is still locked by process ${(await lockHolder(name)) ?? 'unknown'}.`);
    }
    await delay(20);
    lock = await tryLock(name);
  }
  try {
    return await work();
  } finally {
    await lock.release();
  }
}
