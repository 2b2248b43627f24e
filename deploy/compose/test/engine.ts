import { execFile, spawn } from 'node:child_process';
import { accessSync, constants, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { request } from 'node:http';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { startChild, stopChild } from '@novacron/local';
import { eventually, testRun } from '@novacron/testkit';

/** A container as podman lists it. */
export interface Container {
  Id: string;
  Names: string[];
  /** "running", "exited", ... */
  State: string;
  ExitCode: number;
  /** What its health check says, if it has one: "starting", "healthy" or "unhealthy". */
  Status: string;
}

/** podman in namespaces of its own, which docker-compose takes for Docker. */
export interface Engine {
  /** Everything of it lies below. */
  readonly dir: string;
  /** Where images are: for buildah, which builds outside of the namespaces, as it needs the network. */
  readonly storage: readonly string[];
  containers(): Promise<Container[]>;
  /** The uid that a container's first process runs as. */
  userOf(id: string): Promise<number>;
  /** What lies in a volume: paths relative to it. */
  filesOf(volume: string): string[];
  compose(variables: Record<string, string>, ...args: string[]): Promise<string>;
  /** Where a port of the namespaces is to be reached from outside. */
  forward(port: number): Promise<string>;
  /** Ends all of it. */
  stop(): Promise<void>;
}

const run = promisify(execFile);
const COMPOSE_FILE = join(import.meta.dirname, '../docker-compose.yml');
/** Three times what it takes where two cores have nothing else to do, and more. */
const COMPOSE_MS = 300_000;
const PROGRAMS = ['mmdebstrap', 'buildah', 'podman', 'crun', 'docker-compose', 'iptables', 'nc', '/usr/lib/podman/netavark', '/usr/lib/podman/aardvark-dns'];

function requirePrograms(): void {
  if (process.getuid?.() !== 0) throw new Error('Containers are tested as root: they are made of namespaces and mounts.');
  const path = [...(process.env['PATH'] ?? '').split(':'), '/usr/sbin', '/sbin'];
  const isThere = (program: string): boolean =>
    (program.startsWith('/') ? [program] : path.map((dir) => join(dir, program))).some((file) => {
      try {
        accessSync(file, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
  const missing = PROGRAMS.filter((program) => !isThere(program));
  if (missing.length > 0) throw new Error(`These programs are missing: ${missing.join(', ')}. "npm run test:full" installs them, as "node scripts/setup.mjs --full" does by itself.`);
}

/** A command whose processes and mounts end with it; resolves to what it printed. */
export async function runIsolated(command: string, args: readonly string[], { timeoutMs, env }: { timeoutMs: number; env?: NodeJS.ProcessEnv }): Promise<string> {
  const namespaces = ['--mount', '--propagation', 'private', '--pid', '--fork', '--kill-child', '--mount-proc'];
  return (await printed('unshare', [...namespaces, command, ...args], { timeout: timeoutMs, env: { ...process.env, ...env } })).stdout;
}

/** What a failed command printed is why it failed. */
async function printed(command: string, args: string[], options: { timeout: number; env: NodeJS.ProcessEnv }): Promise<{ stdout: string; stderr: string }> {
  try {
    return await run(command, args, { ...options, maxBuffer: 64 << 20, killSignal: 'SIGKILL' });
  } catch (error) {
    const { stdout = '', stderr = '', killed } = error as { stdout?: string; stderr?: string; killed?: boolean }; // execFile's errors carry what was printed
    const end = `${stdout}\n${stderr}`.trimEnd().split('\n').slice(-40).join('\n');
    throw new Error(`${command} ${args.join(' ')} ${killed ? `took longer than ${options.timeout} ms` : 'failed'}:\n${end}`, { cause: error });
  }
}

/** Layers as overlays where the kernel can stack them here; copies everywhere else (in a container without rights, say). */
async function storageDriver(dir: string): Promise<'overlay' | 'vfs'> {
  const at = join(dir, 'overlay-probe');
  for (const name of ['lower', 'upper', 'work', 'merged']) mkdirSync(join(at, name), { recursive: true });
  const options = `lowerdir=${at}/lower,upperdir=${at}/upper,workdir=${at}/work`;
  return runIsolated('mount', ['-t', 'overlay', '-o', options, 'overlay', join(at, 'merged')], { timeoutMs: 10_000 }).then(
    () => 'overlay',
    () => 'vfs',
  );
}

/** No more open files than we may have ourselves. */
function openFiles(): number {
  const hard = /^Max open files\s+\d+\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1];
  return Math.min(Number(hard ?? 1024), 65_536);
}

/** Needs root, and what `node scripts/setup.mjs --full` installs. Several fit on one machine. */
export async function startEngine(): Promise<Engine> {
  requirePrograms();
  const dir = (await testRun()).makeDirectory('containers');
  const [etc, images, runroot] = [join(dir, 'etc'), join(dir, 'images'), join(dir, 'run')];
  for (const made of [etc, images, runroot]) mkdirSync(made);
  const driver = await storageDriver(dir);
  // podman cleans up after no container whose runroot has more than 50 characters, and says so nowhere
  writeFileSync(join(etc, 'storage.conf'), `[storage]\ndriver = "${driver}"\ngraphroot = "${images}"\nrunroot = "/run/containers"\n`);
  writeFileSync(join(etc, 'policy.json'), '{ "default": [{ "type": "insecureAcceptAnything" }] }');
  // No control groups: there would be some to remove if we were killed.
  const limits = `default_ulimits = ["nofile=${openFiles()}:${openFiles()}", "nproc=4096:4096"]\ncgroups = "disabled"`;
  const engineLines = 'runtime = "crun"\ncgroup_manager = "cgroupfs"\nevents_logger = "file"';
  writeFileSync(join(etc, 'containers.conf'), `[containers]\n${limits}\n[network]\nnetwork_backend = "netavark"\n[engine]\n${engineLines}\n`);

  const [pidFile, logFile, socketPath] = [join(dir, 'engine.pid'), join(dir, 'engine.out'), join(dir, 'podman.sock')];
  const env = { ...process.env, DISABLE_HC_SYSTEMD: 'true', DOCKER_HOST: `unix://${socketPath}` };
  const outer = await startChild({ command: 'bash', args: [join(import.meta.dirname, 'engine.sh'), 'enter', dir], pidFile, logFile, env });
  const opened = new AsyncDisposableStack();
  opened.defer(async () => {
    await stopChild(pidFile, [{ signal: 'SIGKILL', waitMs: 5_000 }]);
    await eventually('the end of all containers', () => rm(dir, { recursive: true, force: true }).then(() => true), { timeoutMs: 120_000 });
  });

  const ask = (path: string): Promise<string> => askPodman(socketPath, path);
  const containers = async (): Promise<Container[]> => JSON.parse(await ask('/libpod/containers/json?all=true')) as Container[]; // podman's own list
  try {
    await eventually('podman', () => {
      if (!outer.isAlive()) throw new Error(readFileSync(logFile, 'utf8'));
      return ask('/libpod/_ping');
    });
  } catch (error) {
    await opened.disposeAsync();
    throw error;
  }
  const init = readFileSync(`/proc/${outer.pid}/task/${outer.pid}/children`, 'utf8').trim();

  /** podman leaves the timing of health checks to systemd, which is not in these namespaces: this is the clock instead. */
  const checkHealth = async (signal: AbortSignal): Promise<void> => {
    while (!signal.aborted) {
      const starting = await containers().catch(() => []);
      for (const { Id } of starting.filter(({ Status }) => Status === 'starting')) await ask(`/libpod/containers/${Id}/healthcheck`).catch(() => undefined);
      await delay(500, undefined, { signal }).catch(() => undefined);
    }
  };

  return {
    dir,
    storage: ['--root', images, '--runroot', runroot, '--storage-driver', driver],
    containers,
    async userOf(id) {
      const { State } = JSON.parse(await ask(`/libpod/containers/${id}/json`)) as { State: { Pid: number } }; // podman's own description
      const { stdout } = await run('nsenter', ['-t', init, '-m', '-p', 'cat', `/proc/${State.Pid}/status`]);
      return Number(/^Uid:\s+(\d+)/m.exec(stdout)?.[1]);
    },
    filesOf: (volume) => {
      const at = join(images, 'volumes', volume, '_data');
      return readdirSync(at, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name).slice(at.length + 1)).toSorted();
    },
    async compose(variables, ...args) {
      const done = new AbortController();
      const clock = checkHealth(done.signal);
      try {
        const { stdout } = await printed('docker-compose', ['--project-name', 'novacron', '--file', COMPOSE_FILE, ...args], { timeout: COMPOSE_MS, env: { ...env, ...variables } });
        return stdout;
      } finally {
        done.abort();
        await clock;
      }
    },
    async forward(port) {
      const server = createServer((socket) => {
        const inside = spawn('nsenter', ['-t', init, '-n', 'nc', '-N', '127.0.0.1', String(port)], { stdio: ['pipe', 'pipe', 'ignore'] });
        const end = (): void => void (inside.kill(), socket.destroy());
        for (const part of [socket, inside, inside.stdin, inside.stdout]) part.on('error', end);
        socket.on('close', end).pipe(inside.stdin);
        inside.stdout.pipe(socket);
      });
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      opened.defer(() => void server.close());
      return `http://127.0.0.1:${(server.address() as AddressInfo).port}`; // it listens on TCP
    },
    stop: () => opened.disposeAsync(),
  };
}

/** One GET of podman's API; rejects unless it is answered with a 2xx. */
function askPodman(socketPath: string, path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    if (!existsSync(socketPath)) return reject(new Error('podman does not listen yet.'));
    const asked = request({ socketPath, path: `/v4.0.0${path}`, timeout: 15_000 }, (response) => {
      let body = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => (body += chunk));
      response.on('end', () => (response.statusCode !== undefined && response.statusCode < 300 ? resolve(body) : reject(new Error(body))));
    });
    asked.on('timeout', () => asked.destroy(new Error(`podman did not answer ${path}.`))).on('error', reject).end();
  });
}
