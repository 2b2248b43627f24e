import { readFileSync } from 'node:fs';
import { eventually } from '@novacron/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { registerHost } from './kit/embedded.ts';
import type { Graph } from './kit/client.ts';
import { startFleet, type Fleet } from './kit/fleet.ts';
import { haveImage } from './kit/image.ts';
import { makePeople } from './kit/people.ts';
import { createVm, haveVm, type EndedOperation, type Operation, type Verb, type Vm } from './kit/vm.ts';

let fleet: Fleet;
let me: Graph;
let imageId: string;

beforeAll(async () => {
  fleet = await startFleet();
  const people = await makePeople(fleet.graph);
  me = fleet.graph.as(people.operator);
  await registerHost(fleet.graph.as(people.platformAdmin), fleet.host);
  imageId = await haveImage(me);
}, 120_000);
afterAll(() => fleet?.close());

const VERBS = ['create', 'create from an image', 'start', 'stop', 'force stop', 'pause', 'resume', 'reboot', 'force reboot', 'delete'] as const;
type KilledVerb = (typeof VERBS)[number];
type Creation = 'create' | 'create from an image';

interface Expected {
  from?: 'STOPPED' | 'RUNNING' | 'PAUSED';
  ask(vm: Vm): Promise<Operation>;
  /** What libvirt says once it was done; null: no domain. */
  domain: string | null;
  state: string;
}
const verb = (name: Verb, options?: { force: boolean }) => (vm: Vm) => vm.asks(name, options);

const EXPECTED: Record<Exclude<KilledVerb, Creation>, Expected> = {
  start: { from: 'STOPPED', ask: verb('start'), domain: 'running', state: 'RUNNING' },
  stop: { from: 'RUNNING', ask: verb('stop', { force: false }), domain: 'shut off', state: 'STOPPED' },
  'force stop': { from: 'RUNNING', ask: verb('stop', { force: true }), domain: 'shut off', state: 'STOPPED' },
  pause: { from: 'RUNNING', ask: verb('pause'), domain: 'paused', state: 'PAUSED' },
  resume: { from: 'PAUSED', ask: verb('resume'), domain: 'running', state: 'RUNNING' },
  reboot: { from: 'RUNNING', ask: verb('reboot', { force: false }), domain: 'running', state: 'RUNNING' },
  'force reboot': { from: 'RUNNING', ask: verb('reboot', { force: true }), domain: 'running', state: 'RUNNING' },
  delete: { from: 'RUNNING', ask: verb('delete'), domain: null, state: 'DELETED' },
};
const CREATIONS = (): Record<Creation, object> => ({
  create: {},
  'create from an image': { kernel: null, memory: '32MiB', imageId, cloudInit: { userData: '#!/bin/sh\n' } },
});
const REPEATABLE = VERBS.filter((name) => !name.endsWith('reboot'));

/** What libvirt says of each of our domains, by VM id. */
async function domains(): Promise<Map<string, string>> {
  const names = (await fleet.host.virsh('list', '--all', '--name')).split('\n').filter((name) => name !== '');
  return new Map(await Promise.all(names.map(async (name) => [name.replace('nc-', ''), await fleet.host.virsh('domstate', name)] as const)));
}

/** How many QEMU processes run a VM. */
const copies = (vmId: string): number => fleet.host.qemuPids().filter((pid) => readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(vmId)).length;

interface Round {
  vms: Map<KilledVerb, Vm>;
  ended: Map<KilledVerb, EndedOperation>;
  /** What libvirt says in the end, by VM id. */
  domains: Map<string, string>;
}

/** Each verb on a VM of its own, all in flight at once, and the one agent of their host killed under them. */
async function killUnderAll(when: 'before the effect' | 'after the effect, before it is recorded'): Promise<Round> {
  const vms = new Map<KilledVerb, Vm>();
  await Promise.all(
    Object.entries(EXPECTED).map(async ([name, { from }]) => {
      const vm = await haveVm(me, fleet.guest, { start: from !== 'STOPPED' });
      if (from === 'PAUSED') await vm.bring('PAUSED');
      // The one that is asked to stop must hear it at once: nobody can ask again while its row is locked.
      if (name === 'stop') await eventually('its balloon driver', async () => (await vm.read('metrics { memoryUsed }'))['metrics']?.memoryUsed != null, { timeoutMs: 40_000 });
      vms.set(name as KilledVerb, vm); // keys of a table by verb
    }),
  );
  await fleet.freezeLibvirt();
  const operations = new Map<KilledVerb, Operation>();
  for (const [name, { ask }] of Object.entries(EXPECTED)) {
    const vm = vms.get(name as KilledVerb); // as above
    if (vm) operations.set(name as KilledVerb, await ask(vm));
  }
  for (const [name, input] of Object.entries(CREATIONS())) {
    const created = await createVm(me, fleet.guest, input);
    operations.set(name as KilledVerb, created.operation); // as above
    vms.set(name as KilledVerb, created.vm);
  }
  await Promise.all([...operations.values()].map((operation) => operation.isAtWork()));

  if (when === 'before the effect') {
    await fleet.kill('agent');
    await fleet.thawLibvirt();
  } else {
    // Nothing of these VMs can be written, so what libvirt does is done and not recorded when the agent dies.
    const lock = await fleet.connect();
    try {
      await lock.query('BEGIN');
      await lock.query('SELECT 1 FROM vms.vm WHERE id = ANY($1::uuid[]) FOR UPDATE', [[...vms.values()].map(({ id }) => id)]);
      await fleet.thawLibvirt();
      await effectOfAll(vms);
      await fleet.kill('agent');
    } finally {
      await lock.end();
    }
  }
  await fleet.start('agent');
  const ended = new Map<KilledVerb, EndedOperation>();
  await Promise.all([...operations].map(async ([name, operation]) => ended.set(name, await operation.ends())));
  return { vms, ended, domains: await domains() };
}

/** Waits until libvirt has done every verb. */
const effectOfAll = (vms: Map<KilledVerb, Vm>): Promise<true> =>
  eventually(
    'the effect of every verb',
    async () => {
      const seen = await domains();
      const expected = [...Object.entries(EXPECTED).map(([name, { domain }]) => ({ name, domains: [domain] })), ...Object.keys(CREATIONS()).map((name) => ({ name, domains: ['shut off', 'running'] }))];
      const missing = expected.filter((one) => !one.domains.includes(seen.get(vms.get(one.name as KilledVerb)?.id ?? '') ?? null));
      if (missing.length > 0) throw new Error(`still without: ${missing.map(({ name }) => name).join(', ')}`);
      return true;
    },
    { timeoutMs: 90_000 },
  );

describe.each(['before the effect', 'after the effect, before it is recorded'] as const)('kill -9 of the agent, %s', (when) => {
  let round: Round;
  beforeAll(async () => {
    round = await killUnderAll(when);
  }, 240_000);
  afterAll(() => Promise.all([...(round?.vms ?? [])].map(([name, vm]) => name !== 'delete' && vm.does('delete')))); // a guest less is a test faster
  const endOf = (name: KilledVerb) => ({ operation: round.ended.get(name), vm: round.vms.get(name) as Vm }); // every verb is in every round

  it.each(REPEATABLE)('%s is done by the next agent', async (name) => {
    const { operation, vm } = endOf(name);
    const { domain, state } = name in CREATIONS() ? { domain: 'running', state: 'RUNNING' } : EXPECTED[name as keyof typeof EXPECTED]; // all others are in it
    expect(operation).toMatchObject({ state: 'SUCCEEDED', progress: 1, error: null });
    expect(Math.max(...(operation?.steps ?? []).map(({ attempt }) => attempt))).toBeGreaterThanOrEqual(2); // more where the next agent had to wait
    expect(await vm.read('state desiredState')).toEqual({ state, desiredState: state });
    expect(round.domains.get(vm.id) ?? null).toBe(domain);
    expect(copies(vm.id)).toBe(domain === 'running' || domain === 'paused' ? 1 : 0);
  });

  it.each(['reboot', 'force reboot'] as const)('%s fails, since nobody knows whether it was done, and is not done again', async (name) => {
    const { operation, vm } = endOf(name);
    expect(operation).toMatchObject({ state: 'FAILED', error: { code: 'UNAVAILABLE', retryable: false, message: expect.stringContaining('unknown') } });
    expect(await vm.read('state desiredState')).toEqual({ state: 'RUNNING', desiredState: 'RUNNING' });
    expect(round.domains.get(vm.id)).toBe('running');
    expect(copies(vm.id)).toBe(1);
    await vm.does('reboot', { force: true });
  });

  it('leaves nothing behind, and the graph tells what libvirt tells', async () => {
    const { vms } = await me.run('{ vms(first: 500) { edges { node { id state memory vcpus } } } }');
    const told = vms.edges.map(({ node }: { node: { id: string; state: string } }) => [node.id, node.state]);
    const seen = { running: 'RUNNING', paused: 'PAUSED', 'shut off': 'STOPPED' } as Record<string, string>;
    expect(Object.fromEntries(told)).toEqual(Object.fromEntries([...(await domains())].map(([id, state]) => [id, seen[state]])));
    const [left] = await fleet.sql<object>(`SELECT
      (SELECT count(*)::int FROM operations.operation WHERE finished_at IS NULL) AS "openOperations",
      (SELECT count(*)::int FROM vms.vm WHERE operation_id IS NOT NULL) AS "heldVms",
      (SELECT sum(allocated_vcpus)::int FROM vms.host) AS "allocatedVcpus"`);
    expect(left).toEqual({ openOperations: 0, heldVms: 0, allocatedVcpus: told.length });
  });
});

it('puts a step back that is in hand when the agent is told to stop, and says that the host is offline', async () => {
  const vm = await haveVm(me, fleet.guest);
  const operation = await vm.asks('stop'); // it boots: there is time
  await operation.isAtWork();
  expect(await fleet.part('agent').end('SIGTERM')).toMatchObject({ code: 0, signal: null });
  expect(await vm.read('host { name state }')).toEqual({ host: { name: 'hv1', state: 'OFFLINE' } });
  await fleet.start('agent');
  expect(await operation.ends()).toMatchObject({ state: 'SUCCEEDED', error: null });
  await vm.becomes('STOPPED');
});
