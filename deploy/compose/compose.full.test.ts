import { eventually } from '@novacron/testkit';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ROLES } from '../../app/src/arguments.ts';
import { Graph } from '../../e2e/kit/client.ts';
import { startEngine, type Engine } from './test/engine.ts';
import { buildImages } from './test/images.ts';

const MINUTE_MS = 60_000;
const PASSWORD = 'Compose4dministrator';
const LIBVIRT = 'test+unix:///default?socket=/run/novacron-libvirt/libvirt-sock';

let engine: Engine;
let variables: Record<string, string>;
let url: string;

beforeAll(async () => {
  engine = await startEngine();
  variables = {
    ...(await buildImages(engine)),
    POSTGRES_PASSWORD: 'postgres4compose',
    REDIS_PASSWORD: 'redis4compose',
    NOVACRON_ADMIN_PASSWORD: PASSWORD,
    NOVACRON_ADMIN_EMAIL: 'admin@novacron.local',
    NOVACRON_PUBLISH: '127.0.0.1:8090',
  };
  await engine.compose(variables, 'up', '-d', '--no-build').catch(async (error: unknown) => {
    const logs = await engine.compose(variables, 'logs', '--no-color', '--tail', '15').catch(String);
    throw new Error(`${String(error)}\n${logs}`, { cause: error });
  });
  url = await engine.forward(8090);
}, 15 * MINUTE_MS); // two to three where nothing else runs

afterAll(() => engine?.stop(), 3 * MINUTE_MS);

test('a VM of the test driver runs, as the graph at the published port tells', async () => {
  const nobody = await eventually('the gateway', async () => {
    expect((await fetch(`${url}/ready`)).status).toBe(200);
    return new Graph(url);
  }, { timeoutMs: 30_000 });
  expect(await (await fetch(url)).text()).toContain('NovaCron playground');
  const graph = nobody.as(await nobody.login('admin@novacron.local', PASSWORD));
  const { registerHost } = await graph.run('mutation ($uri: String!) { registerHost(input: { name: "driver", uri: $uri }) { id } }', { uri: LIBVIRT });
  await eventually('the host', async () => {
    const { host } = await graph.run('query ($id: ID!) { host(id: $id) { state problem hypervisor { type } } }', { id: registerHost.id });
    expect(host).toEqual({ state: 'ONLINE', problem: null, hypervisor: { type: 'TEST' } });
    return true;
  }, { timeoutMs: 30_000 });

  const created = await graph.run(`mutation { createVm(input: { name: "one", networks: [], kernel: { kernel: "/var/lib/novacron/boot/nothing" } }) { vm { id } operation { id } } }`);
  const asked = { vm: created.createVm.vm.id, operation: created.createVm.operation.id };
  await eventually('the VM', async () => {
    // two subgraphs answer, each as of its own moment
    const seen = await graph.run('query ($vm: ID!, $operation: ID!) { vm(id: $vm) { state host { name } } operation(id: $operation) { state error { message } } }', asked);
    expect(seen).toEqual({ vm: { state: 'RUNNING', host: { name: 'driver' } }, operation: { state: 'SUCCEEDED', error: null } });
    return true;
  }, { timeoutMs: 30_000 });
}, 2 * MINUTE_MS);

test('nothing runs as root, and what starts once has ended well', async () => {
  const containers = await engine.containers();
  expect(containers.map(({ Names }) => Names[0]).toSorted()).toEqual([...ROLES, 'libvirt', 'postgres', 'redis', 'setup'].map((name) => `novacron_${name}_1`).toSorted());
  const [once, ...others] = containers.toSorted((one) => (one.Names.includes('novacron_setup_1') ? -1 : 1));
  expect(once).toMatchObject({ State: 'exited', ExitCode: 0 });
  for (const { Id, Names, State } of others) {
    expect({ Names, State }).toEqual({ Names, State: 'running' });
    expect(await engine.userOf(Id)).toBeGreaterThan(0);
  }
});

test('each role knows what is its own', () => {
  const keys = Object.fromEntries(ROLES.map((role) => [role, engine.filesOf(`novacron_${role}`).filter((file) => file.startsWith('keys/'))]));
  const [pub, master] = ['keys/gateway.pub', 'keys/master.key'];
  expect(keys).toEqual({
    gateway: ['keys/gateway.key', pub],
    identity: [pub, master],
    vms: [pub, master],
    storage: [pub, master],
    network: [pub],
    migration: [pub],
    monitoring: [pub],
    operations: [pub],
    agent: [master],
  });
});

test('docker-compose down ends all of it in order', async () => {
  await engine.compose(variables, 'down', '--volumes', '--timeout', '20');
  expect(await engine.containers()).toEqual([]);
}, MINUTE_MS);
