import { symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { eventually } from '@novacron/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Graph, Loose } from './kit/client.ts';
import { startEmbedded, type Embedded } from './kit/embedded.ts';
import { makePeople, type People } from './kit/people.ts';
import { createVm, haveVm, vmInput, type Vm } from './kit/vm.ts';

const CREATE = 'mutation ($input: CreateVmInput!) { createVm(input: $input) { vm { id } operation { id } } }';
const NOBODY = '018f0000-0000-7000-8000-000000000000';

let system: Embedded;
let people: People;
let admin: Graph;
let me: Graph;
let hostId: string;
let running: Vm;
let bootDir: string;

beforeAll(async () => {
  bootDir = '';
  system = await startEmbedded();
  people = await makePeople(system.graph);
  admin = system.graph.as(people.platformAdmin);
  me = system.graph.as(people.operator);
  hostId = await system.registerHost(admin);
  bootDir = system.guest.bootDir;
  running = await haveVm(me, system.guest, { name: 'running' });
});
afterAll(() => system?.close());

/** What must be as before when a request was refused. */
const world = async () => {
  const [tables] = await system.sql('SELECT (SELECT count(*) FROM vms.vm) AS vms, (SELECT count(*) FROM operations.operation) AS operations, (SELECT count(*) FROM vms.host) AS hosts');
  const { hosts, tenants } = await admin.run('{ hosts { edges { node { allocated { vcpus memory } } } } tenants { edges { node { usage { vms vcpus memory } } } } }');
  return { tables, hosts, tenants, domains: await system.host.virsh('list', '--all', '--name') };
};

interface Refusal {
  document?: string;
  /** Of the document, or what to change of a good CreateVmInput. */
  variables?: () => Loose;
  input?: () => Loose;
  by?: () => Graph;
  code: string;
  field?: string;
  retryable?: true;
  message?: RegExp;
}

const kernel = (more: Loose) => ({ kernel: { kernel: system.guest.kernel, ...more } });
const REGISTER = 'mutation ($input: RegisterHostInput!) { registerHost(input: $input) { id } }';

const REFUSALS: Record<string, Refusal> = {
  'a name with capitals': { input: () => ({ name: 'Web' }), code: 'BAD_USER_INPUT', field: 'name' },
  'a name that is too long': { input: () => ({ name: 'a'.repeat(64) }), code: 'BAD_USER_INPUT', field: 'name' },
  'a name that is taken': { input: () => ({ name: 'running' }), code: 'ALREADY_EXISTS', field: 'name', message: /"running"/ },
  'no CPU': { input: () => ({ vcpus: 0 }), code: 'BAD_USER_INPUT', field: 'vcpus' },
  'too little memory': { input: () => ({ memory: '1MiB' }), code: 'BAD_USER_INPUT', field: 'memory' },
  'memory that is no size': { input: () => ({ memory: 'a lot' }), code: 'BAD_USER_INPUT', field: 'memory' },
  'memory that no host has': { input: () => ({ memory: '8TiB' }), code: 'NO_CAPACITY', message: /hv1/ },
  'nothing to boot': { input: () => ({ kernel: null }), code: 'BAD_USER_INPUT', field: 'kernel' },
  'a kernel from elsewhere': { input: () => kernel({ kernel: '/etc/shadow' }), code: 'BAD_USER_INPUT', field: 'kernel.kernel' },
  'a kernel by way of ..': { input: () => kernel({ kernel: `${bootDir}/../../../../etc/shadow` }), code: 'BAD_USER_INPUT', field: 'kernel.kernel' },
  'a relative kernel': { input: () => kernel({ kernel: 'vmlinuz' }), code: 'BAD_USER_INPUT', field: 'kernel.kernel' },
  'an initrd from elsewhere': { input: () => kernel({ initrd: '/etc/shadow' }), code: 'BAD_USER_INPUT', field: 'kernel.initrd' },
  'a command line with a line break': { input: () => kernel({ cmdline: 'quiet\nroot=/dev/sda' }), code: 'BAD_USER_INPUT', field: 'kernel.cmdline' },
  'a tag of spaces': { input: () => ({ tags: ['a b'] }), code: 'BAD_USER_INPUT', field: 'tags' },
  'a field that is not there': { input: () => ({ disks: [] }), code: 'BAD_USER_INPUT', field: 'disks' },
  'a strategy that is not there': { input: () => ({ placement: { strategy: 'RANDOM' } }), code: 'BAD_USER_INPUT', field: 'placement.strategy' },
  'a host that is not there': { input: () => ({ placement: { hostId: NOBODY } }), code: 'NOT_FOUND', field: 'placement.hostId' },
  'labels that no host has': { input: () => ({ placement: { requireLabels: { zone: 'moon' } } }), code: 'NO_CAPACITY' },
  "a stranger's tenant": { input: () => ({ tenantId: people.globex }), code: 'NOT_FOUND', field: 'tenantId' },
  'a tenant that is no id': { input: () => ({ tenantId: 'acme' }), code: 'NOT_FOUND', field: 'tenantId' },
  'a start of what runs': { document: 'mutation ($id: ID!) { startVm(id: $id) { vm { id } } }', variables: () => ({ id: running.id }), code: 'INVALID_STATE', message: /RUNNING/ },
  'a resume of what runs': { document: 'mutation ($id: ID!) { resumeVm(id: $id) { vm { id } } }', variables: () => ({ id: running.id }), code: 'INVALID_STATE' },
  'a VM that is not there': { document: 'mutation ($id: ID!) { stopVm(id: $id) { vm { id } } }', variables: () => ({ id: NOBODY }), code: 'NOT_FOUND' },
  'a VM by what is no id': { document: 'mutation ($id: ID!) { deleteVm(id: $id) { vm { id } } }', variables: () => ({ id: "' OR true --" }), code: 'NOT_FOUND' },
  'an operation that is over': {
    document: 'mutation ($id: ID!) { cancelOperation(id: $id) { id } }',
    variables: () => ({ id: lastOperation }),
    code: 'INVALID_STATE',
  },
  'a host by a name that is taken': { document: REGISTER, by: () => admin, variables: () => ({ input: { name: 'hv1', uri: 'qemu+unix:///system?socket=/run/x' } }), code: 'ALREADY_EXISTS', field: 'name' },
  'a host by a URI that is taken': { document: REGISTER, by: () => admin, variables: () => ({ input: { name: 'hv9', uri: system.host.uri } }), code: 'ALREADY_EXISTS', field: 'uri' },
  'a host by what is no URI': { document: REGISTER, by: () => admin, variables: () => ({ input: { name: 'hv9', uri: 'somewhere' } }), code: 'BAD_USER_INPUT', field: 'uri' },
  'a password that is too short': {
    document: 'mutation ($input: CreateUserInput!) { createUser(input: $input) { id } }',
    by: () => admin,
    variables: () => ({ input: { email: 'x@novacron.test', name: 'x', password: 'short', tenantId: people.acme, role: 'viewer' } }),
    code: 'BAD_USER_INPUT',
    field: 'password',
  },
  'a wrong password': {
    document: 'mutation ($input: LoginInput!) { login(input: $input) { accessToken } }',
    by: () => system.graph,
    variables: () => ({ input: { email: people.viewer.email, password: 'wrong' } }),
    code: 'UNAUTHENTICATED',
  },
  'a page that is too long': { document: '{ vms(first: 501) { totalCount } }', code: 'BAD_USER_INPUT', field: 'first' },
  'a page after what is no cursor': { document: '{ vms(after: "x") { totalCount } }', code: 'BAD_USER_INPUT', field: 'after' },
  'a page both ways': { document: '{ vms(first: 1, last: 1) { totalCount } }', code: 'BAD_USER_INPUT', field: 'last' },
  'an introspection of what is not there': { document: '{ nothing }', code: 'GRAPHQL_VALIDATION_FAILED' },
  'what is no GraphQL': { document: '{ vms(', code: 'GRAPHQL_PARSE_FAILED' },
};
let lastOperation = '';

describe('is refused in one sentence, with a code, and changes nothing', () => {
  beforeAll(async () => {
    lastOperation = (await running.read('operations(first: 1) { edges { node { id } } }'))['operations'].edges[0].node.id;
  });

  it.each(Object.entries(REFUSALS))('%s', async (_what, { document = CREATE, variables, input, by = () => me, code, field, retryable = false, message = /\w+/ }) => {
    const before = await world();
    const error = await by().refused(document, input ? { input: vmInput(system.guest, input()) } : (variables?.() ?? {}));
    expect(error.extensions).toEqual({ code, ...(field === undefined ? {} : { field }), retryable, requestId: expect.stringMatching(/^[\w.-]+$/) });
    expect(error.message).toMatch(message);
    expect(error.message).not.toMatch(/node_modules|\.ts\b|prisma|at \w+ \(/i);
    expect(await world()).toEqual(before);
  });
});

describe('what only the host can tell', () => {
  it.each([
    ['a kernel that is missing', () => join(bootDir, 'missing')],
    ['a link that leads out of the boot directories', () => join(bootDir, 'link')],
  ])('fails the operation: %s', async (_what, kernelOf) => {
    symlinkOnce(join(bootDir, 'link'));
    const before = await world();
    const { vm, operation } = await createVm(me, system.guest, { kernel: { kernel: kernelOf() } });
    expect(await operation.ends()).toMatchObject({ state: 'FAILED', error: { code: 'BAD_USER_INPUT', field: 'kernel.kernel', retryable: false } });
    await vm.becomes('DELETED');
    expect({ ...(await world()), tables: null }).toEqual({ ...before, tables: null });
  });

  it('fails the operation: a kernel that is none', async () => {
    const file = join(bootDir, 'no-kernel');
    writeFileSync(file, 'not a kernel');
    const before = await world();
    const { vm, operation } = await createVm(me, system.guest, { kernel: { kernel: file } });
    expect(await operation.ends()).toMatchObject({ state: 'FAILED', error: { code: 'UNAVAILABLE' } });
    await vm.becomes('DELETED');
    expect({ ...(await world()), tables: null }).toEqual({ ...before, tables: null });
  });
});

/** In the guest's own directory, which other runs share: the same link for all. */
function symlinkOnce(link: string): void {
  try {
    symlinkSync('/etc/shadow', link);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error; // node:fs rejects with nothing else
  }
}

it('answers a repeated createVm with the first result, also when many come at once', async () => {
  const input = vmInput(system.guest, { start: false, idempotencyKey: 'once' });
  const answers = await Promise.all(Array.from({ length: 8 }, () => me.run(CREATE, { input })));
  expect(new Set(answers.map(({ createVm: { vm, operation } }) => `${vm.id} ${operation.id}`)).size).toBe(1);
  expect((await me.refused(CREATE, { input: { ...input, name: 'other' } })).extensions).toMatchObject({ code: 'CONFLICT', field: 'idempotencyKey', retryable: false });
});

it('keeps to the quota of a tenant, whoever asks at the same time', async () => {
  const { createTenant } = await admin.run('mutation { createTenant(input: { name: "small", quota: { vms: 2, vcpus: 8, memory: "1GiB" } }) { id } }');
  const answers = await Promise.all(
    Array.from({ length: 5 }, () => admin.ask(CREATE, { input: vmInput(system.guest, { tenantId: createTenant.id, start: false }) })),
  );
  expect(answers.filter(({ errors }) => errors.length === 0)).toHaveLength(2);
  expect(answers.flatMap(({ errors }) => errors.map(({ extensions }) => extensions.code))).toEqual(['QUOTA_EXCEEDED', 'QUOTA_EXCEEDED', 'QUOTA_EXCEEDED']);
});

it('keeps a host that is registered twice offline, and says whose it is', async () => {
  const again = system.host.uri.replace('/run/libvirt-sock', '/run/./libvirt-sock');
  const { registerHost } = await admin.run(REGISTER, { input: { name: 'twice', uri: again } });
  const host = await eventually('the reason', async () => {
    const found = (await admin.run('query ($id: ID!) { host(id: $id) { state problem } }', { id: registerHost.id }))['host'];
    return /hv1/.test(found.problem ?? '') && found;
  });
  expect(host).toMatchObject({ state: 'OFFLINE', problem: expect.stringContaining('registered as "hv1" already') });
});

it('says that a host is offline, and takes up its VMs again when it is back', async () => {
  const vm = await haveVm(me, system.guest, { start: false });
  await system.host.killDaemon('SIGKILL');
  const state = async () => (await admin.run('query ($id: ID!) { host(id: $id) { state problem } }', { id: hostId }))['host'];
  await eventually('the host to be offline', async () => (await state()).state === 'OFFLINE');
  expect((await me.refused('mutation ($id: ID!) { startVm(id: $id) { vm { id } } }', { id: vm.id })).extensions).toMatchObject({ code: 'UNAVAILABLE', retryable: true });
  expect((await me.refused(CREATE, { input: vmInput(system.guest) })).extensions).toMatchObject({ code: 'NO_CAPACITY' });
  await system.host.startDaemon();
  await eventually('the host to be online again', async () => (await state()).state === 'ONLINE');
  expect(await state()).toEqual({ state: 'ONLINE', problem: null });
  await running.becomes('RUNNING');
  await vm.does('start');
});
