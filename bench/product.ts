import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { startChild, stopChild } from '@novacron/local';
import { eventually, testRun } from '@novacron/testkit';
import { UNREACHED_LIMITS } from '../e2e/kit/limits.ts';
import { usageOf, type Usage } from './load/processes.ts';
import { NODE_FLAGS } from './node-flags.ts';

/** NovaCron as `npm start` runs it: all roles in one process of its own, with its own durable PostgreSQL and Redis. */
export interface Product {
  url: string;
  email: string;
  password: string;
  /** Resident memory of the process, in bytes. */
  residentBytes(): number;
  /** What the process has had of the machine. */
  usage(): Usage;
  stop(): Promise<void>;
}

const ADMINISTRATOR = { email: 'bench@novacron.local', password: 'a password for one run of the bench' };

export interface ProductOptions {
  libvirtUri: string;
  bootDirectory: string;
}

/** Starts it. The bench is the client: in another process, over HTTP and WebSocket, with no other way in. */
export async function startProduct({ libvirtUri, bootDirectory }: ProductOptions): Promise<Product> {
  const run = await testRun();
  const data = run.makeDirectory('product');
  const pidFile = join(data, 'novacron.pid');
  const logFile = join(data, 'novacron.out');
  const said = (): string => readFileSync(logFile, 'utf8');
  const stop = (): Promise<void> =>
    stopChild(pidFile, [
      { signal: 'SIGTERM', waitMs: 60_000 },
      { signal: 'SIGKILL', waitMs: 5_000 },
    ]);
  const child = await startChild({
    command: process.execPath,
    args: [...NODE_FLAGS, join(import.meta.dirname, '../app/src/main.ts')],
    pidFile,
    logFile,
    env: {
      ...process.env,
      NOVACRON_DATA: data,
      NOVACRON_PORT: '0',
      NOVACRON_ADMIN_EMAIL: ADMINISTRATOR.email,
      NOVACRON_ADMIN_PASSWORD: ADMINISTRATOR.password,
      NOVACRON_LIBVIRT_URI: libvirtUri,
      NOVACRON_HOST_NAME: 'bench',
      NOVACRON_BOOT_DIRS: bootDirectory,
      NOVACRON_IMPORT_ALLOW: '127.0.0.0/8', // where the test image comes from
      // Hundreds of VMs that are defined and never started need no memory: the books must not refuse them.
      NOVACRON_CPU_OVERCOMMIT: '1000',
      NOVACRON_MEMORY_OVERCOMMIT: '1000',
      ...UNREACHED_LIMITS,
    },
  });
  try {
    const url = await eventually(
      'NovaCron to be ready',
      () => {
        if (!child.isAlive()) throw new Error(said());
        return /is ready[^]*?Playground\s+(http:\/\/\S+?)\//.exec(said())?.[1];
      },
      { timeoutMs: 120_000 },
    );
    return { url, ...ADMINISTRATOR, residentBytes: () => usageOf(child.pid).residentBytes, usage: () => usageOf(child.pid), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
