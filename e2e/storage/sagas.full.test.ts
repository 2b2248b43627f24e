import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually } from '@novacron/testkit';
import { afterAll, beforeAll } from 'vitest';
import type { Graph } from '../kit/client.ts';
import { startEmbedded, type Embedded } from '../kit/embedded.ts';
import { makePeople, type People } from '../kit/people.ts';
import { disturbance, proveSagas, saga, type Saga } from '../kit/sagas.ts';
import { haveVm, type Operation, type Vm } from '../kit/vm.ts';
import { createPool, createVolume, deleteSnapshot, haveVolume, localPools, MIB, newName, nothingLeftBehind, type Volume } from './storage.ts';

/** The proofs of every verb of storage, on two real hosts. */

const trouble = disturbance();
let system: Embedded;
let people: People;
let operator: Graph;
let admin: Graph;
let vm: Vm;
let hostIds: string[];
let directory: string;
let poolId: string;
/** Encrypted ones are slow to make: one for all cases. */
let secret: Volume | null = null;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'shared-'));
  system = await startEmbedded({}, { hosts: 2, disturb: (step) => trouble.disturb(step) });
  people = await makePeople(system.graph);
  operator = system.graph.as(people.operator);
  admin = system.graph.as(people.platformAdmin);
  hostIds = [await system.registerHost(admin), await system.registerHost(admin, system.hosts[1])];
  poolId = await eventually('the pool of the first host', async () => (await localPools(system)).get(hostIds[0] ?? ''));
  vm = await haveVm(operator, system.guest, { networks: [], placement: { hostId: hostIds[0] } });
});
afterAll(async () => {
  await system?.close();
  await rm(directory, { recursive: true, force: true });
});

const stateOf = async (volume: Volume): Promise<unknown> => {
  const { state, size, snapshots } = await volume.read();
  return { state, mib: size / MIB, snapshots: snapshots.map((one: { name: string; state: string }) => `${one.name} ${one.state}`) };
};
const is = (state: string, mib = 4, snapshots: string[] = []) => ({ state, mib, snapshots });

/** Deletes what a case has made, wherever it has left it. */
async function remove(volume: Volume): Promise<void> {
  const { state, snapshots } = await volume.read();
  if (state === 'DELETED') return;
  if (state === 'IN_USE') await volume.does((one) => one.detach());
  for (const { id } of snapshots) await (await deleteSnapshot(operator, id)).operation.succeeds();
  await volume.does((one) => one.delete());
}

const volumeSaga = (
  title: string,
  given: Pick<Saga<Volume>, 'before' | 'after' | 'steps'> & { prepare(): Promise<Volume>; ask(volume: Volume): Promise<{ operation: Operation }> },
) => saga<Volume>({ ...given, title, ask: async (volume) => (await given.ask(volume)).operation, look: stateOf, cleanUp: remove });

const have = (): Promise<Volume> => haveVolume(operator, { poolId });
const haveAttached = async (): Promise<Volume> => {
  await vm.bring('RUNNING');
  const volume = await have();
  await volume.does((one) => one.attach(vm.id));
  return volume;
};

const SAGAS = [
  saga<{ volume: Volume | null }>({
    title: 'create',
    prepare: () => Promise.resolve({ volume: null }),
    async ask(subject) {
      const { volume, operation } = await createVolume(operator, { poolId });
      subject.volume = volume;
      return operation;
    },
    look: async ({ volume }) => volume && stateOf(volume),
    before: is('DELETED'),
    after: is('AVAILABLE'),
    steps: [{ name: 'storage.make-volume' }],
    cleanUp: async ({ volume }) => (volume ? remove(volume) : undefined),
  }),
  volumeSaga('resize', {
    prepare: have,
    ask: (volume) => volume.resize('8MiB'),
    before: is('AVAILABLE'),
    after: is('AVAILABLE', 8),
    steps: [{ name: 'storage.settle-size', failedAfter: is('AVAILABLE', 8) }], // nothing shrinks
  }),
  volumeSaga('resize, attached', {
    prepare: haveAttached,
    ask: (volume) => volume.resize('8MiB'),
    before: is('IN_USE'),
    after: is('IN_USE', 8),
    steps: [{ name: 'storage.grow-volume' }, { name: 'vms.resize-disk', failedAfter: is('IN_USE', 8) }, { name: 'storage.settle-size', failedAfter: is('IN_USE', 8) }],
  }),
  volumeSaga('attach', {
    async prepare() {
      await vm.bring('RUNNING');
      return have();
    },
    ask: (volume) => volume.attach(vm.id),
    before: is('AVAILABLE'),
    after: is('IN_USE'),
    steps: [{ name: 'vms.attach-device' }],
  }),
  volumeSaga('snapshot', {
    prepare: have,
    ask: (volume) => volume.snapshot('kept'),
    before: is('AVAILABLE'),
    after: is('AVAILABLE', 4, ['kept AVAILABLE']),
    steps: [{ name: 'storage.make-snapshot' }],
  }),
  volumeSaga('delete a snapshot', {
    async prepare() {
      const volume = await have();
      await volume.does((one) => one.snapshot('kept'));
      return volume;
    },
    ask: async (volume) => deleteSnapshot(operator, (await volume.read())['snapshots'][0].id),
    before: is('AVAILABLE', 4, ['kept AVAILABLE']),
    after: is('AVAILABLE'),
    steps: [{ name: 'storage.delete-snapshot', final: true, failedAfter: is('AVAILABLE') }],
  }),
  volumeSaga('detach', {
    prepare: haveAttached,
    ask: (volume) => volume.detach(),
    before: is('IN_USE'),
    after: is('AVAILABLE'),
    steps: [{ name: 'vms.detach-device' }], // its VM gets it again when it starts
  }),
  volumeSaga('delete', {
    prepare: have,
    ask: (volume) => volume.delete(),
    before: is('AVAILABLE'),
    after: is('DELETED'),
    steps: [{ name: 'storage.delete-volume', final: true, failedAfter: is('ERROR') }], // what is gone says so, and can be deleted again
  }),
  saga<Volume>({
    title: 'attach, encrypted',
    async prepare() {
      await vm.bring('RUNNING');
      return (secret ??= await haveVolume(operator, { poolId, encrypted: true, format: 'raw' }));
    },
    ask: async (volume) => (await volume.attach(vm.id)).operation,
    look: stateOf,
    before: is('AVAILABLE'),
    after: is('IN_USE'),
    steps: [{ name: 'storage.unlock-volume' }, { name: 'vms.attach-device' }],
    async cleanUp(volume) {
      if ((await volume.read())['state'] === 'IN_USE') await volume.does((one) => one.detach());
    },
  }),
  saga<{ id: string | null }>({
    title: 'create a shared pool',
    prepare: () => Promise.resolve({ id: null }),
    async ask(subject) {
      const name = newName('pool');
      const { id, operation } = await createPool(admin, { name, hostIds, path: join(directory, name), shared: true });
      subject.id = id;
      return operation;
    },
    look: async ({ id }) => (await admin.run('query ($id: ID!) { storagePool(id: $id) { state } }', { id }))['storagePool']?.state ?? null,
    before: null,
    after: 'READY',
    steps: [{ name: 'storage.make-pool' }],
    cleanUp: () => Promise.resolve(),
  }),
];

proveSagas({ sagas: SAGAS, disturbance: trouble, system: () => system, nothingLeftBehind: () => nothingLeftBehind(system) });
