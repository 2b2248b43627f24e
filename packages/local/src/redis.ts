import { mkdirSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { findChild, lastLines, startChild, stopChild, type Child, type StopStep } from './children.ts';
import { checkSocketPath, checkTraversable, unprivilegedUser } from './data-dir.ts';
import { withLock } from './lock.ts';
import { LocalError, type Progress } from './progress.ts';
import { keepPassword, ownDirectory, writeSecret } from './secrets.ts';

export interface RedisServerOptions {
  /** Everything of this server lives below it. */
  dir: string;
  onProgress?: Progress;
}

/** A private Redis on a UNIX socket. */
export interface LocalRedis {
  /** unix:///path?password=..., for redisOptions. */
  url: string;
  pid: number;
  /** True when it was found alive rather than started. */
  reused: boolean;
  stop(): Promise<void>;
}

const STOP: readonly StopStep[] = [
  { signal: 'SIGTERM', waitMs: 20_000 }, // writes its append-only file to the end
  { signal: 'SIGKILL', waitMs: 5_000 },
];

/**
 * Starts a private Redis below `dir`, or uses the one that still runs there. No TCP port. It outlives a
 * kill -9 of ours. Idempotent.
 */
export async function startRedis(options: RedisServerOptions): Promise<LocalRedis> {
  checkTraversable(options.dir);
  mkdirSync(options.dir, { recursive: true, mode: 0o755 });
  return withLock(`redis:${options.dir}`, () => start(options));
}

async function start({ dir, onProgress = () => {} }: RedisServerOptions): Promise<LocalRedis> {
  const data = join(dir, 'data');
  const socketPath = join(dir, 'run', 'redis.sock');
  const config = join(dir, 'redis.conf');
  const pidFile = join(dir, 'redis.pid');
  const logFile = join(dir, 'redis.log');
  checkSocketPath(socketPath);
  const password = keepPassword(join(dir, 'password'));

  let child = findChild(pidFile);
  const reused = child !== undefined;
  if (child === undefined) {
    ownDirectory(data);
    ownDirectory(join(dir, 'run'));
    writeSecret(config, configuration({ data, socketPath, password }), unprivilegedUser());
    onProgress('Starting Redis');
    child = await startChild({
      command: 'redis-server',
      args: [config],
      pidFile,
      logFile,
      cwd: data,
      user: unprivilegedUser(),
    });
  }
  try {
    await ready({ child, socketPath, password, logFile });
  } catch (error) {
    if (!reused) await stopChild(pidFile, STOP);
    throw error;
  }
  const url = `unix://${socketPath}?password=${encodeURIComponent(password)}`;
  return { url, pid: child.pid, reused, stop: () => stopChild(pidFile, STOP) };
}

/** Source: https://redis.io/docs/latest/operate/oss_and_stack/management/config/ */
function configuration({ data, socketPath, password }: { data: string; socketPath: string; password: string }): string {
  const lines = [
    'port 0',
    `unixsocket "${socketPath}"`,
    'unixsocketperm 700',
    `requirepass ${password}`,
    `dir "${data}"`,
    'appendonly yes',
    'appendfsync everysec',
    'save ""', // the append-only file is the one copy on disk
    'maxmemory-policy noeviction', // BullMQ loses jobs under any other
    'daemonize no',
    'loglevel notice',
  ];
  return `${lines.join('\n')}\n`;
}

/** Waits until the server answers PONG; it reads its append-only file first. */
async function ready(server: { child: Child; socketPath: string; password: string; logFile: string }): Promise<void> {
  const { child, socketPath, password, logFile } = server;
  const deadline = performance.now() + 120_000;
  for (;;) {
    const answer = await ask(socketPath, `AUTH ${password}\r\nPING\r\n`);
    if (answer.includes('+PONG')) return;
    if (answer.includes('-WRONGPASS')) {
      throw new LocalError('The private Redis refuses our password: its password file was replaced while it ran.');
    }
    if (!child.isAlive()) throw new LocalError(`Redis ended while it started: ${lastLines(logFile)}`);
    if (performance.now() > deadline) throw new LocalError(`Redis did not answer within 120 s: ${lastLines(logFile)}`);
    await delay(10);
  }
}

/** What the server says to inline commands, or '' when there is none yet. */
function ask(socketPath: string, commands: string): Promise<string> {
  return new Promise((resolve) => {
    let answer = '';
    const socket = connect(socketPath, () => socket.write(`${commands}QUIT\r\n`));
    socket.setTimeout(5_000, () => socket.destroy());
    socket.on('data', (chunk) => (answer += String(chunk)));
    socket.on('error', () => undefined); // close follows
    socket.on('close', () => resolve(answer));
  });
}
