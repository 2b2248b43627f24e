import { eventually } from '@novacron/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Graph, Loose } from './kit/client.ts';
import { startEmbedded, type Embedded } from './kit/embedded.ts';
import { example } from './kit/examples.ts';
import { ADMIN } from './kit/people.ts';
import type { Subscription } from './kit/subscription.ts';
import { Operation, Vm, type Verb } from './kit/vm.ts';

/** A newcomer's way through the graph, from the playground's examples: each step stands on the one before. */
const WATCH = `subscription ($after: String) {
  vmChanged(after: $after) { cursor type at vm { id name state desiredState generation host { name } createdBy { email } tenant { name } metrics { cpu } } }
}`;

let system: Embedded;
let me: Graph;
let vm: Vm;
let watch: Subscription;

beforeAll(async () => {
  system = await startEmbedded();
});
afterAll(async () => {
  await watch?.close();
  await system?.close();
});

/** What libvirt itself says of a VM. */
const domainState = (): Promise<string> => system.host.virsh('domstate', `nc-${vm.id}`);

/** The states that the subscription has shown of the VM, since there were so many. */
const statesSince = (count: number): string[] => watch.messages.slice(count).map(({ data }) => data['vmChanged'].vm.state);

it('signs in with the first example', async () => {
  const { document, variables } = example('01-login');
  const { login } = await system.graph.run(document, { input: { ...variables['input'], ...ADMIN } });
  expect(login).toMatchObject({ accessToken: expect.any(String), refreshToken: expect.any(String), user: { email: ADMIN.email } });
  expect(Date.parse(login.expiresAt)).toBeGreaterThan(Date.now());
  me = system.graph.as({ token: login.accessToken });
  expect(await me.run('{ me { email roles { role tenant { name } } } }')).toEqual({
    me: { email: ADMIN.email, roles: [{ role: 'platform_admin', tenant: { name: 'default' } }] },
  });
});

it('takes a host into the fleet and sees what it is', async () => {
  await system.registerHost(me);
  const { document } = example('02-hosts');
  const hosts = await eventually('the host to be measured', async () => {
    const answer = await me.run(document);
    return answer['hosts'].edges[0].node.metrics !== null && answer['hosts'];
  });
  expect(hosts.totalCount).toBe(1);
  const { node } = hosts.edges[0];
  expect(node).toMatchObject({ name: 'hv1', state: 'ONLINE', uri: system.host.uri, hypervisor: { type: 'QEMU', accelerated: false }, allocated: { vcpus: 0, memory: 0 } });
  expect(node.hypervisor.libvirtVersion).toMatch(/^\d+\.\d+\.\d+$/);
  expect(node.capacity.memory).toBeGreaterThan(2 ** 30);
  expect(node.metrics.cpu).toBeGreaterThanOrEqual(0);
  expect(node.metrics.cpu).toBeLessThanOrEqual(1);
});

const kernelOf = ({ guest }: Embedded) => ({ kernel: guest.kernel, initrd: guest.initrd, cmdline: guest.cmdline });

it('plans a VM, and changes nothing by it', async () => {
  const { document, variables } = example('03-plan-vm');
  const { planVm } = await me.run(document, { input: { ...variables['input'], kernel: kernelOf(system) } });
  expect(planVm).toMatchObject({ strategy: 'SPREAD', chosen: { name: 'hv1' }, candidates: [{ host: { name: 'hv1' }, rejectedBecause: null }] });
  expect(planVm.candidates[0].factors.length).toBeGreaterThan(0);
  expect((await me.run('{ vms { totalCount } operations { totalCount } }'))).toEqual({ vms: { totalCount: 0 }, operations: { totalCount: 0 } });
});

it('creates a VM, and watches it and its operation come to life', async () => {
  watch = await me.subscribe(WATCH);
  const operations = await me.subscribe(example('12-watch-operations').document);
  const { document, variables } = example('04-create-vm');
  const { createVm } = await me.run(document, { input: { ...variables['input'], memory: '96MiB', kernel: kernelOf(system) } });
  expect(createVm).toMatchObject({ vm: { name: 'first-vm', state: 'PENDING', host: { name: 'hv1' } }, operation: { kind: 'vm.create' } });
  vm = new Vm(me, createVm.vm.id, 'first-vm');

  await watch.until('it runs', ({ vmChanged }) => vmChanged.vm.state === 'RUNNING');
  expect(statesSince(0)).toEqual(['PENDING', 'PROVISIONING', 'RUNNING']);
  const types = watch.messages.map(({ data }) => data['vmChanged'].type);
  expect(types).toEqual(['vm.created', 'vm.changed', 'vm.changed']);
  for (const { data, extensions } of watch.messages) {
    expect(data['vmChanged']).toMatchObject({
      cursor: extensions.cursor,
      vm: { id: vm.id, name: 'first-vm', desiredState: 'RUNNING', host: { name: 'hv1' }, createdBy: { email: ADMIN.email }, tenant: { name: 'default' } },
    });
  }
  const done = await operations.until('it succeeded', ({ operationChanged }) => operationChanged.state === 'SUCCEEDED');
  expect(done.data['operationChanged']).toMatchObject({
    ...{ id: createVm.operation.id, kind: 'vm.create', progress: 1, targetType: 'Vm', targetId: vm.id, error: null, requestedBy: { email: ADMIN.email } },
    steps: ['vms.hold', 'network.hold-nics', 'network.make-nics', 'vms.define', 'vms.start'].map((name) => ({ name, state: 'SUCCEEDED' })),
  });
  const seen = operations.messages.map(({ data }) => data['operationChanged']);
  expect(seen.map(({ state }) => state).filter((state, index, all) => state !== all[index - 1])).toEqual(['QUEUED', 'RUNNING', 'SUCCEEDED']);
  expect(seen.map(({ progress }) => progress)).toEqual(seen.map(({ progress }) => progress).toSorted((a, b) => a - b));
  await operations.close();

  expect(await domainState()).toBe('running');
  expect(await system.host.virsh('dumpxml', `nc-${vm.id}`, '--xpath', '/domain/title/text()')).toBe('first-vm');
  expect(system.host.qemuPids()).toHaveLength(1);
});

it('lists it with what several services know of it', async () => {
  const { document, variables } = example('05-vms');
  const vms = await eventually('the VM to be measured', async () => {
    const answer = await me.run(document, variables);
    return answer['vms'].edges[0].node.metrics !== null && answer['vms'];
  });
  expect(vms).toMatchObject({
    totalCount: 1,
    edges: [{ node: { id: vm.id, state: 'RUNNING', memory: 96 * 2 ** 20, tags: ['playground'], createdBy: { email: ADMIN.email }, host: { state: 'ONLINE' } } }],
  });
  const answer = await vm.read('operations { totalCount edges { node { kind requestedBy { email } } } } placement { chosen { name } } metrics { memoryTotal }');
  expect(answer).toMatchObject({ operations: { totalCount: 1, edges: [{ node: { kind: 'vm.create', requestedBy: { email: ADMIN.email } } }] }, placement: { chosen: { name: 'hv1' } } });
  expect(answer['metrics'].memoryTotal).toBe(96 * 2 ** 20);
});

it('watches what it and its host use', async () => {
  const [vms = '', hosts = ''] = example('13-watch-metrics').document.split(/(?=subscription WatchHostMetrics)/);
  const both = await Promise.all([vms, hosts].map(async (document, index) => {
    const subscription = await me.subscribe(document);
    await eventually('three samples', () => subscription.messages.length >= 3);
    await subscription.close();
    return subscription.messages.map(({ data }) => data[index === 0 ? 'vmMetrics' : 'hostMetrics']);
  }));
  for (const samples of both) {
    const times = samples.map(({ at }) => Date.parse(at));
    expect(times).toEqual(times.toSorted((a, b) => a - b));
    for (const { cpu } of samples) expect(cpu >= 0 && cpu <= 1).toBe(true);
  }
  expect(both[0]?.at(-1)).toMatchObject({ vm: { name: 'first-vm' }, memoryTotal: 96 * 2 ** 20 });
  expect(both[1]?.at(-1)).toMatchObject({ host: { name: 'hv1' }, vmsRunning: 1 });
});

describe('its power', () => {
  /** Verb -> the answer's state, the states that follow, and what libvirt says in the end. */
  const STEPS: readonly { verb: Verb; force?: boolean; via: string; end: string; domain: string; desired: string }[] = [
    { verb: 'pause', via: 'PAUSING', end: 'PAUSED', domain: 'paused', desired: 'PAUSED' },
    { verb: 'resume', via: 'RESUMING', end: 'RUNNING', domain: 'running', desired: 'RUNNING' },
    { verb: 'reboot', force: false, via: 'REBOOTING', end: 'RUNNING', domain: 'running', desired: 'RUNNING' },
    { verb: 'reboot', force: true, via: 'REBOOTING', end: 'RUNNING', domain: 'running', desired: 'RUNNING' },
    { verb: 'stop', force: false, via: 'STOPPING', end: 'STOPPED', domain: 'shut off', desired: 'STOPPED' },
    { verb: 'start', via: 'STARTING', end: 'RUNNING', domain: 'running', desired: 'RUNNING' },
    { verb: 'stop', force: true, via: 'STOPPING', end: 'STOPPED', domain: 'shut off', desired: 'STOPPED' },
    { verb: 'start', via: 'STARTING', end: 'RUNNING', domain: 'running', desired: 'RUNNING' },
  ];

  it.each(STEPS.map((step) => [`${step.verb}${step.force === undefined ? '' : step.force ? ', with force' : ', gracefully'}`, step] as const))('%s', async (_name, step) => {
    const before = watch.messages.length;
    const { generation } = await vm.read();
    const field = `${step.verb}Vm`;
    const document = `mutation ($id: ID!) { ${field}(id: $id${step.force === undefined ? '' : `, force: ${step.force}`}) { vm { state desiredState generation } operation { id kind state } } }`;
    const answer = (await me.run(document, { id: vm.id }))[field];
    expect(answer).toMatchObject({ vm: { state: step.via, desiredState: step.desired }, operation: { kind: `vm.${step.verb}` } });
    expect(answer.vm.generation).toBeGreaterThan(generation);

    await new Operation(me, answer.operation.id).succeeds();
    await eventually('the end to be told', () => watch.messages.length > before + 1);
    expect(statesSince(before)).toEqual([step.via, step.end]);
    expect(await vm.read('state desiredState')).toEqual({ state: step.end, desiredState: step.desired });
    expect(await domainState()).toBe(step.domain);
    expect(system.host.qemuPids()).toHaveLength(step.domain === 'shut off' ? 0 : 1);
    expect(typeof (await vm.read('startedAt'))['startedAt']).toBe(step.domain === 'shut off' ? 'object' : 'string');
  });

  it('answers the operation in flight when it is asked again, and lets no other verb in between', async () => {
    const first = await vm.asks('reboot', { force: false });
    expect((await vm.asks('reboot', { force: false })).id).toBe(first.id);
    expect(await me.refused('mutation ($id: ID!) { pauseVm(id: $id) { vm { id } } }', { id: vm.id })).toMatchObject({
      extensions: { code: 'INVALID_STATE', retryable: false },
    });
    await first.succeeds();
  });

  it('turns a graceful stop into a forced one on request, as the same operation', async () => {
    const graceful = await vm.asks('stop');
    expect((await vm.asks('stop', { force: true })).id).toBe(graceful.id);
    await graceful.succeeds();
    expect(await domainState()).toBe('shut off');
    await vm.does('start');
  });

  it('tells what happens without NovaCron as drift, and does not undo it', async () => {
    await system.host.virsh('suspend', `nc-${vm.id}`);
    const paused = await watch.until('drift', ({ vmChanged }) => vmChanged.type === 'vm.drifted', 3_000);
    expect(paused.data['vmChanged'].vm).toMatchObject({ state: 'PAUSED', desiredState: 'RUNNING' });
    await system.host.virsh('resume', `nc-${vm.id}`);
    await vm.becomes('RUNNING', 3_000);
    await system.host.virsh('destroy', `nc-${vm.id}`);
    await vm.becomes('STOPPED', 3_000);
    await vm.does('start');
  });
});

it('renames and tags it, unless somebody was faster', async () => {
  const update = 'mutation ($input: UpdateVmInput!) { updateVm(input: $input) { vm { name tags generation } operation { id kind } } }';
  const { generation } = await vm.read();
  const { updateVm } = await me.run(update, { input: { id: vm.id, name: 'renamed', tags: ['a', 'b', 'a'], ifGeneration: generation } });
  expect(updateVm).toMatchObject({ vm: { name: 'renamed', tags: ['a', 'b'], generation: generation + 1 }, operation: { kind: 'vm.update' } });
  await new Operation(me, updateVm.operation.id).succeeds();
  expect(await system.host.virsh('dumpxml', `nc-${vm.id}`, '--xpath', '/domain/title/text()')).toBe('renamed');
  expect(await me.refused(update, { input: { id: vm.id, name: 'again', ifGeneration: generation } })).toMatchObject({
    extensions: { code: 'CONFLICT', field: 'ifGeneration', retryable: false },
  });
});

it('deletes it while it runs, and nothing of it is left', async () => {
  const { deleteVm } = await me.run('mutation ($id: ID!) { deleteVm(id: $id) { vm { state desiredState } operation { id kind } } }', { id: vm.id });
  expect(deleteVm).toMatchObject({ vm: { state: 'DELETING', desiredState: 'DELETED' }, operation: { kind: 'vm.delete' } });
  const gone = await watch.until('it is deleted', ({ vmChanged }) => vmChanged.type === 'vm.deleted');
  expect(gone.data['vmChanged'].vm).toMatchObject({ id: vm.id, name: 'renamed', state: 'DELETED', createdBy: { email: ADMIN.email } });
  await new Operation(me, deleteVm.operation.id).succeeds();
  expect(await me.run('{ vms { totalCount } hosts { edges { node { allocated { vcpus memory } vms { totalCount } } } } tenants { edges { node { usage { vms vcpus memory } } } } }')).toEqual({
    vms: { totalCount: 0 },
    hosts: { edges: [{ node: { allocated: { vcpus: 0, memory: 0 }, vms: { totalCount: 0 } } }] },
    tenants: { edges: [{ node: { usage: { vms: 0, vcpus: 0, memory: 0 } } }] },
  });
  expect(await system.host.virsh('list', '--all', '--name')).toBe('');
  expect(system.host.qemuPids()).toEqual([]);
});

it('gave every request an id that is in the logs', async () => {
  const response = await fetch(`${me.url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${me.token}`, 'x-request-id': 'story-1' },
    body: JSON.stringify({ query: 'mutation ($input: CreateVmInput!) { createVm(input: $input) { vm { id } operation { id } } }', variables: { input: { name: 'traced', memory: '64MiB', kernel: kernelOf(system), start: false } } }),
  });
  expect(response.headers.get('x-request-id')).toBe('story-1');
  const { createVm } = ((await response.json()) as Loose)['data'];
  await new Operation(me, createVm.operation.id).succeeds();
  const steps = system.log.filter(({ requestId, step }) => requestId === 'story-1' && step !== undefined);
  expect(steps.at(-1)).toMatchObject({ kind: 'vm.create', operationId: createVm.operation.id, targetId: createVm.vm.id, state: 'SUCCEEDED' });
});
