import { afterAll, beforeAll } from 'vitest';
import { disturbance, proveSagas, saga, sagaStep, type Saga } from '../kit/sagas.ts';
import type { Vm } from '../kit/vm.ts';
import type { Volume } from '../storage/storage.ts';
import { createWhole, remove, startSagaFleet, type SagaFleet } from './fleet.ts';
import { inOrder } from './house.ts';

/** The proofs of createVm with all that other services give a VM: a boot disk, a seed, a volume that was there before, and NICs. */

let fleet: SagaFleet;
let imageId: string;
const trouble = disturbance();

beforeAll(async () => {
  fleet = await startSagaFleet(trouble);
  imageId = await fleet.importImage();
}, 300_000);
afterAll(() => fleet?.close());

interface Subject {
  imageId: string;
  /** That was there before. */
  volume: Volume | null;
  vm: Vm | null;
}

const look = async ({ vm, volume }: Subject) => ({
  vm: vm && (await vm.read('state'))['state'],
  ...(volume && { volume: (await volume.read())['state'], isIntact: await fleet.isIntact(volume) }),
});

const create = (given: Pick<Saga<Subject>, 'title' | 'prepare' | 'before' | 'after' | 'steps' | 'undone'> & { more?(): object }) =>
  saga<Subject>({
    ...given,
    look,
    async ask(subject) {
      const { vm, operation } = await createWhole(fleet, subject.imageId, { ...(subject.volume && { volumes: [subject.volume.id] }), ...given.more?.() });
      subject.vm = vm;
      return operation;
    },
    async cleanUp(subject) {
      if (subject.vm) await remove(subject.vm);
      if (subject.imageId !== imageId) await fleet.deleteImage(subject.imageId);
    },
  });

/** What is proven of a step by one saga is not proven again by another. */
const SAGAS = [
  create({
    title: 'createVm',
    prepare: () => Promise.resolve({ imageId, volume: fleet.plain, vm: null }),
    before: { vm: 'DELETED', volume: 'AVAILABLE', isIntact: true },
    after: { vm: 'RUNNING', volume: 'IN_USE', isIntact: true },
    steps: [sagaStep('storage.make-disks', ['failed before', 'cancelled']), sagaStep('network.make-nics', ['killed', 'cancelled']), sagaStep('vms.define'), sagaStep('vms.start')],
    undone: ['vms.start', 'vms.define'],
  }),
  create({
    title: 'createVm, encrypted, not started',
    prepare: () => Promise.resolve({ imageId, volume: fleet.secret, vm: null }),
    more: () => ({ start: false }),
    before: { vm: 'DELETED', volume: 'AVAILABLE', isIntact: true },
    after: { vm: 'STOPPED', volume: 'IN_USE', isIntact: true },
    steps: [sagaStep('storage.make-disks', ['failed after', 'killed']), sagaStep('network.make-nics', ['failed before', 'failed after']), sagaStep('vms.define-only')],
    undone: ['vms.define-only', 'network.make-nics', 'storage.make-disks', 'network.hold-nics', 'storage.hold-disks', 'vms.hold'],
  }),
  create({
    title: 'createVm where the image is not yet',
    prepare: async () => ({ imageId: await fleet.importImage(), volume: null, vm: null }),
    more: () => ({ start: false, networks: [], placement: { hostId: fleet.hostIds[1] } }),
    before: { vm: 'DELETED' },
    after: { vm: 'STOPPED' },
    steps: [sagaStep('storage.make-disks', ['failed after', 'killed', 'cancelled'])],
    undone: ['storage.make-disks', 'storage.hold-disks'],
  }),
];

proveSagas({ sagas: SAGAS, disturbance: trouble, system: () => fleet.system, nothingLeftBehind: () => inOrder(fleet.system), timeoutMs: 240_000 });
