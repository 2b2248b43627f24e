import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import { disturbance, onward, proveSagas, saga, sagaStep, type SagaStep } from '../kit/sagas.ts';
import { createVm, type Vm } from '../kit/vm.ts';
import { migrate } from '../migration/moves.ts';
import { createPool, haveVolume, type Volume } from '../storage/storage.ts';
import { startSagaFleet, type SagaFleet } from './fleet.ts';
import { inOrder } from './house.ts';

/**
 * The proofs of migrateVm without copies: live and offline, of a VM with an encrypted volume that both hosts share, a seed that
 * they don't, and NICs. With copies: e2e/migration/sagas.full.test.ts.
 */

let fleet: SagaFleet;
let vm: Vm;
let disk: Volume;
const trouble = disturbance();
const directory = mkdtempSync(join(tmpdir(), 'shared-'));

beforeAll(async () => {
  fleet = await startSagaFleet(trouble);
  const { alice, admin, hostIds, networks, system } = fleet;
  const created = await createVm(alice, system.guest, { memory: '32MiB', networks, cloudInit: { userData: '#!/bin/sh\n' }, placement: { hostId: hostIds[0] }, start: false });
  vm = created.vm;
  await created.operation.succeeds(90_000);
  const pool = await createPool(admin, { name: 'common', hostIds, path: directory, shared: true });
  await pool.operation.succeeds(90_000);
  disk = await haveVolume(alice, { poolId: pool.id, encrypted: true });
  await disk.does((one) => one.attach(vm.id));
}, 300_000);
afterAll(async () => {
  await fleet?.close();
  rmSync(directory, { recursive: true, force: true });
});

interface Subject {
  source: string;
  target: string;
}

const hostId = async (): Promise<string> => (await vm.read('host { id }'))['host'].id;

const moves = (mode: 'LIVE' | 'OFFLINE', state: 'RUNNING' | 'STOPPED', steps: readonly SagaStep[], undone: readonly string[] = []) =>
  saga<Subject>({
    title: `migrateVm, ${mode}`,
    async prepare() {
      await vm.bring(state);
      const source = await hostId();
      return { source, target: fleet.hostIds.find((id) => id !== source) ?? '' };
    },
    ask: async ({ target }) => (await migrate(fleet.alice, { vmId: vm.id, hostId: target, mode })).operation,
    look: async ({ source }) => ({ state: (await vm.read('state'))['state'], isOn: (await hostId()) === source ? 'source' : 'target', volume: (await disk.read())['state'] }),
    before: { state, isOn: 'source', volume: 'IN_USE' },
    after: { state, isOn: 'target', volume: 'IN_USE' },
    steps,
    undone,
    cleanUp: () => Promise.resolve(),
  });

proveSagas({
  sagas: [
    moves(
      'OFFLINE',
      'STOPPED',
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
    moves('LIVE', 'RUNNING', [
      sagaStep('network.migrate-in', ['failed after']),
      sagaStep('storage.migrate-in', ['failed after', 'killed', 'cancelled']),
      sagaStep('migration.move', ['failed before', 'killed']),
      onward('network.migrate-out', ['killed']),
      onward('storage.migrate-out', ['killed', 'onward']),
      onward('vms.moved', ['killed']),
    ]),
  ],
  disturbance: trouble,
  system: () => fleet.system,
  nothingLeftBehind: () => inOrder(fleet.system),
  timeoutMs: 240_000,
});
