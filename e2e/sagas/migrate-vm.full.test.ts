import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import { disturbance, onward, proveSagas, saga, sagaStep, type SagaStep } from '../kit/sagas.ts';
import { createVm, type Vm } from '../kit/vm.ts';
import { migrate } from '../migration/moves.ts';
import { createPool, haveVolume, type Volume } from '../storage/storage.ts';
import { createWhole, startSagaFleet, type SagaFleet } from './fleet.ts';
import { inOrder } from './house.ts';

/**
 * The proofs of migrateVm: live and offline, of a VM with an encrypted volume that both hosts share, a seed that they don't, and
 * NICs; and offline, of one whose disks are copied. Live with copies: e2e/migration/sagas.full.test.ts.
 */

let fleet: SagaFleet;
let vms: Readonly<Record<'sharing' | 'copied', { vm: Vm; disk: Volume }>>;
const trouble = disturbance();
const directory = mkdtempSync(join(tmpdir(), 'shared-'));

beforeAll(async () => {
  fleet = await startSagaFleet(trouble);
  const { alice, admin, hostIds, networks, system } = fleet;
  const sharing = await createVm(alice, system.guest, {
    memory: '32MiB',
    kernel: { kernel: fleet.halting.kernel },
    networks,
    cloudInit: { userData: '#!/bin/sh\n' },
    placement: { hostId: hostIds[0] },
    start: false,
  });
  const copied = await createWhole(fleet, await fleet.importImage(), { volumes: [fleet.secret.id], networks: [], start: false });
  for (const { operation } of [sharing, copied]) await operation.succeeds(90_000);
  const pool = await createPool(admin, { name: 'common', hostIds, path: directory, shared: true }); // the seed is not in it
  await pool.operation.succeeds(90_000);
  const disk = await haveVolume(alice, { poolId: pool.id, encrypted: true });
  await disk.does((one) => one.attach(sharing.vm.id));
  vms = { sharing: { vm: sharing.vm, disk }, copied: { vm: copied.vm, disk: fleet.secret } };
}, 300_000);
afterAll(async () => {
  await fleet?.close();
  rmSync(directory, { recursive: true, force: true });
});

interface Subject {
  vm: Vm;
  disk: Volume;
  source: string;
  target: string;
}

const hostOf = async (vm: Vm): Promise<string> => (await vm.read('host { id }'))['host'].id;

const look = async ({ vm, disk, source }: Subject) => {
  const [{ state }, volume] = [await vm.read('state'), await disk.read()];
  const isIntact = disk === fleet.secret ? await fleet.isIntact(disk) : true;
  return { state, isOn: (await hostOf(vm)) === source ? 'source' : 'target', volume: volume['state'], isIntact };
};

const moves = (which: 'sharing' | 'copied', mode: 'LIVE' | 'OFFLINE', steps: readonly SagaStep[], undone: readonly string[] = []) =>
  saga<Subject>({
    title: `migrateVm, ${mode}, ${which}`,
    async prepare() {
      const { vm, disk } = vms[which];
      await vm.bring(mode === 'LIVE' ? 'RUNNING' : 'STOPPED');
      const source = await hostOf(vm);
      return { vm, disk, source, target: fleet.hostIds.find((id) => id !== source) ?? '' };
    },
    ask: async ({ vm, target }) => (await migrate(fleet.alice, { vmId: vm.id, hostId: target, mode, copyStorage: which === 'copied' })).operation,
    look,
    before: { state: mode === 'LIVE' ? 'RUNNING' : 'STOPPED', isOn: 'source', volume: 'IN_USE', isIntact: true },
    after: { state: mode === 'LIVE' ? 'RUNNING' : 'STOPPED', isOn: 'target', volume: 'IN_USE', isIntact: true },
    steps,
    undone,
    cleanUp: () => Promise.resolve(),
  });

proveSagas({
  sagas: [
    moves(
      'sharing',
      'OFFLINE',
      [
        sagaStep('migration.check-source'),
        sagaStep('migration.check-target'),
        sagaStep('network.migrate-in'),
        sagaStep('storage.migrate-in'),
        sagaStep('migration.move', ['failed before', 'killed']), // it answers only once it knows where the guest is
        onward('vms.clean-source'),
        onward('network.migrate-out'),
        onward('storage.migrate-out'),
        onward('vms.moved'),
      ],
      ['storage.migrate-in', 'network.migrate-in', 'migration.check-target', 'storage.hold-migration', 'vms.hold', 'migration.hold'],
    ),
    // live, the rest is the same as with copies
    moves('sharing', 'LIVE', [
      sagaStep('network.migrate-in', ['failed after']),
      sagaStep('storage.migrate-in', ['failed after', 'killed', 'cancelled']),
      sagaStep('migration.move', ['failed before', 'killed']),
      onward('network.migrate-out', ['killed']),
      onward('storage.migrate-out', ['killed', 'onward']),
      onward('vms.moved', ['killed']),
    ]),
    moves(
      'copied',
      'OFFLINE',
      [sagaStep('storage.migrate-in'), onward('storage.migrate-out')],
      ['storage.migrate-in', 'storage.hold-migration'],
    ),
  ],
  disturbance: trouble,
  system: () => fleet.system,
  nothingLeftBehind: () => inOrder(fleet.system),
  timeoutMs: 240_000,
});
