import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { eventually, guest, testRun, type Guest, type TestRun } from '@novacron/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Graph, GraphFailure } from './kit/client.ts';
import { descendants, isAlive, startProcess, type Started } from './kit/process.ts';
import { haveVm, Vm } from './kit/vm.ts';

const unlessUnavailable = (error: unknown): false => {
  if (error instanceof GraphFailure && error.code === 'UNAVAILABLE') return false;
  throw error;
};

let run: TestRun;
let testGuest: Guest;
const running: Started[] = [];
const directories: string[] = [];

beforeAll(async () => {
  [run, testGuest] = [await testRun(), await guest()];
});
afterAll(async () => {
  await Promise.all(running.map((started) => started.end('SIGTERM')));
  for (const directory of directories) {
    for (const pid of [...processesOver(directory)]) process.kill(pid, 'SIGKILL'); // what a test that failed has left
    rmSync(directory, { recursive: true, force: true, maxRetries: 3 });
  }
});

/** Under /var/tmp, and short: sockets lie in it. */
function dataDirectory(): string {
  const directory = run.makeDirectory('d');
  directories.push(directory);
  return directory;
}

let runs = 0;

function start(data: string, { args = [], env = {} }: { args?: string[]; env?: Record<string, string> } = {}): Started {
  const pidFile = join(run.dir, `start-${(runs += 1)}.pid`);
  const started = startProcess({ args, env: { NOVACRON_DATA: data, NOVACRON_PORT: '0', NOVACRON_BOOT_DIRS: testGuest.bootDir, ...env }, pidFile });
  running.push(started);
  return started;
}

/** The servers that an instance keeps, by the pid files below its data. */
function servers(data: string): Record<string, number> {
  const files = ['postgres/postgres.pid', 'redis/redis.pid', 'libvirt/libvirtd.pid'].filter((file) => existsSync(join(data, file)));
  return Object.fromEntries(files.map((file) => [file.split('/')[0] ?? '', JSON.parse(readFileSync(join(data, file), 'utf8')).pid as number]));
}

const readProc = (pid: string, file: string): string => {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch {
    return ''; // ended meanwhile
  }
};

/** Everything that runs over a data directory: by its arguments, or by what is mounted for it. */
const processesOver = (data: string): number[] =>
  readdirSync('/proc')
    .filter((pid) => /^\d+$/.test(pid) && Number(pid) !== process.pid)
    .filter((pid) => readProc(pid, 'cmdline').includes(`${data}/`) || readProc(pid, 'mountinfo').includes(`${data}/`))
    .map(Number)
    .filter(isAlive);

const qemuOf = (vm: Vm): number[] =>
  readdirSync('/proc')
    .filter((pid) => /^\d+$/.test(pid) && readProc(pid, 'comm').startsWith('qemu-system') && readProc(pid, 'cmdline').includes(vm.id))
    .map(Number)
    .filter(isAlive);

describe.concurrent('without starting anything', () => {
  it('explains itself with --help', async () => {
    const started = start(join(run.dir, 'never'), { args: ['--help'] });
    expect(await started.exited).toEqual({ code: 0, signal: null });
    expect(started.stdout).toMatch(/npm start[\s\S]*--roles agent --host NAME[\s\S]*Guests keep running/);
    expect(existsSync(join(run.dir, 'never'))).toBe(false);
  });

  it.each([
    [['--roles', 'gatway'], /^There is no role "gatway"\. Roles are gateway, /m],
    [['--host', 'hv1'], /--host goes with --roles agent/],
    [['--rolls', 'gateway'], /Unknown option '--rolls'/],
    [['--roles', 'agent'], /REDIS_URL says where Redis is[^]*DATABASE_URL_AGENT, DATABASE_URL_VMS, DATABASE_URL_STORAGE, DATABASE_URL_NETWORK, DATABASE_URL_MIGRATION, DATABASE_URL_MONITORING\./],
  ])('says what is wrong with %j', async (args, message) => {
    const started = start(join(run.dir, 'never'), { args });
    expect(await started.exited).toEqual({ code: 1, signal: null });
    expect(started.stderr).toMatch(message);
    expect(started.stderr).not.toMatch(/^ +at /m);
  });

  it('says which server can not be reached', async () => {
    const env = { DATABASE_URL: 'postgresql://novacron:secret@127.0.0.1:1/novacron', REDIS_URL: 'redis://127.0.0.1:1' };
    const started = start(join(run.dir, 'never'), { args: ['--roles', 'vms'], env });
    expect(await started.exited).toEqual({ code: 1, signal: null });
    expect(started.stderr.trim()).toBe("PostgreSQL (DATABASE_URL) can't be reached: connect ECONNREFUSED 127.0.0.1:1");
  });

  it('names every variable that is wrong, and no value', async () => {
    const wrong = { NOVACRON_PORT: 'eighty', DATABASE_URL: 'mysql://root:secret@db', NOVACRON_LOG_LEVEL: 'loud', NOVACRON_MEMORY_OVERCOMMIT: '0', NOVACRON_VMS_URL: 'vms' };
    const started = start(join(run.dir, 'never'), { env: wrong });
    expect(await started.exited).toEqual({ code: 1, signal: null });
    for (const name of Object.keys(wrong)) expect(started.stderr).toContain(`  ${name}: `);
    expect(started.stderr).not.toMatch(/eighty|secret|mysql|loud/);
    expect(existsSync(join(run.dir, 'never'))).toBe(false);
  });
});

describe('npm start', () => {
  let data: string;
  let first: Started;
  let graph: Graph;
  let password: string;
  let vm: Vm;
  let kept: Record<string, number>;

  const signIn = async () => graph.as(await graph.login('admin@novacron.local', password));
  const addressOf = async (started: Started) => (await started.says(/Playground +(http:\/\/127\.0\.0\.1:\d+)\//, 90_000))[1] ?? '';

  it('prints where the playground is, and the one-time password, which signs in', async () => {
    data = dataDirectory();
    first = start(data);
    graph = new Graph(await addressOf(first));
    password = (await first.says(/this password is shown once[\s\S]*password +(\S+)/))[1] ?? '';
    const admin = await signIn();
    expect((await fetch(`${graph.url}/`)).headers.get('content-type')).toMatch('text/html');
    expect(await (await fetch(`${graph.url}/ready`)).json()).toMatchObject({ ready: true });
    const { hosts } = await admin.run('{ hosts { edges { node { state problem hypervisor { type } } } } }');
    expect(hosts.edges).toEqual([{ node: { state: 'ONLINE', problem: null, hypervisor: { type: 'QEMU' } } }]);
    expect(readFileSync(join(data, 'novacron.log'), 'utf8')).not.toContain(password);
    expect(first.stderr).toBe('');
  }, 120_000);

  it('runs a guest on this machine, as a user without privileges', async () => {
    vm = await haveVm(await signIn(), testGuest);
    const [qemu] = qemuOf(vm);
    expect(/^Uid:\s+(\d+)/m.exec(readProc(String(qemu), 'status'))?.[1]).not.toBe('0');
  });

  it('does not start twice over the same data', async () => {
    const second = start(data);
    expect(await second.exited).toEqual({ code: 1, signal: null });
    expect(second.stderr.trim()).toBe(`Another NovaCron (process ${first.pid}) already runs over ${data}: stop it, or set NOVACRON_DATA to another directory.`);
  });

  it('names the port that is taken and the variable that moves it, and leaves nothing running', async () => {
    const other = dataDirectory();
    const { port } = new URL(graph.url);
    const second = start(other, { env: { NOVACRON_PORT: port } });
    expect(await second.exited).toEqual({ code: 1, signal: null });
    expect(second.stderr.trim()).toBe(`Port ${port} is already in use: set NOVACRON_PORT to a free one.`);
    await eventually('nothing to run over it', () => processesOver(other).length === 0);
    expect((await fetch(`${graph.url}/health`)).status).toBe(200);
  }, 120_000);

  it('stops all that it started on SIGTERM, and leaves the guest running', async () => {
    kept = servers(data);
    const qemu = qemuOf(vm);
    expect(Object.keys(kept)).toEqual(['postgres', 'redis', 'libvirt']);
    expect(qemu).toHaveLength(1);
    const children = descendants(first.pid).filter((pid) => !qemu.includes(pid));
    const { code, signal, ms } = await first.end('SIGTERM');
    expect({ code, signal, stderr: first.stderr }).toEqual({ code: 0, signal: null, stderr: '' });
    expect(ms).toBeLessThan(10_000);
    // Who reaps the guest outlives the daemon with it, and so does who gives it its address.
    const outlives = (pid: number): boolean => readProc(String(pid), 'comm').startsWith('dnsmasq') || descendants(pid).some((child) => qemu.includes(child));
    const left = [...Object.values(kept), ...children].filter((pid) => isAlive(pid) && !outlives(pid));
    expect(left).toEqual([]);
    expect(qemuOf(vm)).toEqual(qemu);
  });

  it('starts again within seconds: the same data, no password, and the guest is found', async () => {
    const qemu = qemuOf(vm);
    first = start(data, { env: { NOVACRON_PORT: new URL(graph.url).port } });
    const [, seconds] = await first.says(/NovaCron is ready after ([\d.]+) s\.[\s\S]*Ctrl-C/);
    expect(Number(seconds)).toBeLessThan(15);
    expect(first.stdout).not.toMatch(/password/i);
    vm = new Vm(await signIn(), vm.id, vm.name);
    expect(await vm.read('state desiredState')).toEqual({ state: 'RUNNING', desiredState: 'RUNNING' });
    expect(qemuOf(vm)).toEqual(qemu);
    await vm.does('pause');
    await vm.does('resume');
  });

  it('adopts after a kill -9 what is still alive', async () => {
    kept = servers(data);
    await first.end('SIGKILL');
    expect(Object.values(kept).every(isAlive)).toBe(true);
    first = start(data, { env: { NOVACRON_PORT: new URL(graph.url).port } });
    await first.says(/Ctrl-C/);
    expect(servers(data)).toEqual(kept);
    vm = new Vm(await signIn(), vm.id, vm.name);
    await vm.becomes('RUNNING');
    // the agent that was killed holds the host until its lease runs out
    const deleting = await eventually('the host to be taken over', () => vm.asks('delete').catch(unlessUnavailable), { timeoutMs: 40_000 });
    await deleting.succeeds();
    expect(qemuOf(vm)).toEqual([]);
  });

  it('ends on Ctrl-C, and nothing of it is left', async () => {
    expect(await first.end('SIGINT')).toMatchObject({ code: 0, signal: null });
    await eventually('nothing to run over it', () => processesOver(data).length === 0);
    expect(first.stdout).toMatch(/Stopping\. Guests keep running\.\n$/);
  });
});
