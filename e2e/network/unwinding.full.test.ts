import { DomainError } from '@novacron/core';
import type { TestHost } from '@novacron/testkit';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Graph, Loose } from '../kit/client.ts';
import { startEmbedded, type Embedded, type EmbeddedOptions } from '../kit/embedded.ts';
import { makePeople } from '../kit/people.ts';
import { createVm, Operation, type Vm } from '../kit/vm.ts';
import { askAttach, askDetach, attachNic, createNetwork, footprintOf, haveVm, nicsOf, nothingLeftBehind, registerHosts } from './network.ts';

/*
 * Every step that puts something of a network on a host is failed, cut off and repeated: in the end it is all there, or nothing.
 * Throughout, each step is done twice, and so is each undo.
 */
type Trouble = { step: string; how: 'fails before' | 'fails after' | 'is cut off after' };
let trouble: Trouble | null = null;
let reached: PromiseWithResolvers<void>;

const disturb: NonNullable<EmbeddedOptions['disturb']> = (step) => ({
  ...step,
  async run(run, input) {
    const mine = trouble?.step === step.name ? trouble.how : null;
    const fail = (): never => {
      reached.resolve();
      if (step.settles || !step.undoable) trouble = null; // what only goes forward is tried again
      throw new DomainError('INVALID_STATE', 'A test wants this step to fail.');
    };
    if (mine === 'fails before') fail();
    const output: unknown = await step.run(run, input);
    if (step.repeatable !== false && step.name.startsWith('network.')) await step.run(run, input);
    if (mine === 'fails after') fail();
    if (mine === 'is cut off after') {
      trouble = null;
      reached.resolve();
      await new Promise(() => {}); // the process is about to die
    }
    return output;
  },
  ...(step.undo && {
    async undo(run, input) {
      await step.undo?.(run, input);
      return step.undo?.(run, input);
    },
  }),
});

let system: Embedded;
let alice: Graph;
let host: TestHost;
let place: Loose;
let vm: Vm;
let networkId: string;

beforeAll(async () => {
  system = await startEmbedded({}, { hosts: 2, disturb });
  const people = await makePeople(system.graph);
  alice = system.graph.as(people.tenantAdmin);
  const [hostId] = await registerHosts(system, system.graph.as(people.platformAdmin));
  host = system.host;
  place = { placement: { hostId } };
  networkId = (await createNetwork(alice, { name: 'net', kind: 'OVERLAY', cidr: '10.9.0.0/24' }))['id'];
  vm = await haveVm(alice, system.guest, { ...place, networks: [] });
}, 120_000);
afterAll(() => system?.close());
beforeEach(() => {
  trouble = null;
  reached = Promise.withResolvers();
});

const dies = async (): Promise<void> => {
  await reached.promise;
  await system.stop({ force: true });
  await system.start();
};

describe('createVm with a NIC on an overlay', () => {
  const ask = () => createVm(alice, system.guest, { ...place, networks: [networkId] });

  it.each<Trouble>([
    { step: 'network.make-nics', how: 'fails before' },
    { step: 'network.make-nics', how: 'fails after' },
    { step: 'vms.define', how: 'fails after' },
    { step: 'vms.start', how: 'fails after' },
  ])('leaves nothing when $step $how', async (given) => {
    trouble = given;
    const { operation } = await ask();
    expect(await operation.ends()).toMatchObject({ state: 'FAILED', error: { message: 'A test wants this step to fail.' } });
    await nothingLeftBehind(system);
  }, 60_000);

  it('is done once when the process dies after network.make-nics, and gone with the VM when it dies after network.drop-nics', async () => {
    trouble = { step: 'network.make-nics', how: 'is cut off after' };
    const { vm: made, operation } = await ask();
    await dies();
    await operation.succeeds(60_000);
    const [nic] = await nicsOf(alice, made.id);
    expect((await footprintOf(host))['entries']).toEqual([`<host mac='${nic?.['mac']}' ip='${nic?.['address']}'>`.slice(0, -1)]);
    trouble = { step: 'network.drop-nics', how: 'is cut off after' };
    reached = Promise.withResolvers();
    const deleting = await made.asks('delete');
    await dies();
    await deleting.succeeds(60_000);
    await nothingLeftBehind(system);
  }, 120_000);

  it('leaves nothing when it is cancelled while its network is made', async () => {
    trouble = { step: 'vms.start', how: 'is cut off after' };
    const { operation } = await ask();
    await reached.promise;
    await alice.run('mutation ($id: ID!) { cancelOperation(id: $id) { id } }', { id: operation.id });
    await system.stop({ force: true });
    await system.start();
    expect(await operation.ends(60_000)).toMatchObject({ state: 'CANCELLED' });
    await nothingLeftBehind(system);
  }, 120_000);
});

describe('attachNic and detachNic', () => {
  it.each<Trouble>([
    { step: 'network.make-nic', how: 'fails before' },
    { step: 'network.make-nic', how: 'fails after' },
    { step: 'vms.attach-device', how: 'fails after' },
  ])('leave nothing when $step $how', async (given) => {
    trouble = given;
    const { operation } = await askAttach(alice, { vmId: vm.id, networkId });
    expect(await operation.ends(90_000)).toMatchObject({ state: 'FAILED' });
    expect(await vm.read('state')).toEqual({ state: 'RUNNING' });
    await nothingLeftBehind(system);
  }, 120_000);

  it('keep the NIC when it can not be detached, and go on until it is gone once it is', async () => {
    const nic = await attachNic(alice, { vmId: vm.id, networkId });
    trouble = { step: 'vms.detach-device', how: 'fails before' };
    expect(await (await askDetach(alice, nic['id'])).ends()).toMatchObject({ state: 'FAILED' });
    expect(await system.sql('SELECT state FROM network.nic WHERE id = $1', [nic['id']])).toEqual([{ state: 'ACTIVE' }]);
    trouble = { step: 'network.drop-nic', how: 'fails after' };
    expect(await (await askDetach(alice, nic['id'])).ends(90_000)).toMatchObject({ state: 'SUCCEEDED' });
    await nothingLeftBehind(system);
  }, 120_000);

  it('are done once when the process dies after network.make-nic', async () => {
    trouble = { step: 'network.make-nic', how: 'is cut off after' };
    const { nic, operation } = await askAttach(alice, { vmId: vm.id, networkId });
    await dies();
    await operation.succeeds(60_000);
    expect(await host.virsh('domiflist', `nc-${vm.id}`)).toContain(nic['mac']);
    await (await askDetach(alice, nic['id'])).succeeds(90_000);
    await nothingLeftBehind(system);
  }, 120_000);
});

it('a network that is being deleted goes from every host that has it', async () => {
  const { id } = await createNetwork(alice, { name: 'doomed', cidr: '10.9.7.0/24' });
  const doomed = await haveVm(alice, system.guest, { ...place, networks: [id] });
  await system.sql("UPDATE network.nic SET state = 'RELEASING' WHERE vm_id = $1", [doomed.id]); // as when its host went offline in the middle
  await doomed.does('delete');
  const { deleteNetwork } = await alice.run('mutation ($id: ID!) { deleteNetwork(id: $id) { operation { id } } }', { id });
  await new Operation(alice, deleteNetwork.operation.id).succeeds();
  expect(await system.sql('SELECT id FROM network.network WHERE id = $1', [id])).toEqual([]);
  await nothingLeftBehind(system);
}, 60_000);
