import { DomainError } from '@novacron/core';
import { eventually } from '@novacron/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { disturbance, proveSagas, saga } from '../kit/sagas.ts';
import type { Operation, Vm } from '../kit/vm.ts';
import { haveVolume, nothingLeftBehind as noVolumeLeftBehind, type Volume } from '../storage/storage.ts';
import { claimsAddUp, haveVmOn, migrate, startFleet, type Fleet } from './moves.ts';

/** A migration of a VM with a disk that is copied, and an address: whatever goes wrong at a step, the VM is at rest on one host. */

let fleet: Fleet;
let vm: Vm;
let disk: Volume;
const trouble = disturbance();

const hostId = async (): Promise<string> => (await vm.read('host { id }'))['host'].id;

beforeAll(async () => {
  fleet = await startFleet({ disturb: (step) => trouble.disturb(step) });
  vm = await haveVmOn(fleet, fleet.hostIds[0], { networks: null });
  const [pool] = await fleet.system.sql("SELECT p.id FROM storage.pool p JOIN storage.pool_host h ON h.pool_id = p.id WHERE p.name = 'local' AND h.host_id = $1", [fleet.hostIds[0]]);
  disk = await haveVolume(fleet.operator, { size: '4MiB', poolId: pool?.['id'] });
  await disk.does((one) => one.attach(vm.id));
}, 120_000);
afterAll(() => fleet?.close());

const nothingLeftBehind = async (): Promise<void> => {
  await claimsAddUp(fleet);
  await noVolumeLeftBehind(fleet.system);
};

interface Subject {
  source: string;
  target: string;
}

const begins = async (): Promise<Subject> => {
  await vm.becomes('RUNNING');
  const source = await hostId();
  return { source, target: fleet.hostIds.find((id) => id !== source) ?? '' };
};
const ask = async ({ target }: Subject): Promise<Operation> => (await migrate(fleet.operator, { vmId: vm.id, hostId: target, copyStorage: true })).operation;

const look = async ({ source }: Subject) => ({ state: (await vm.read('state'))['state'], isOn: (await hostId()) === source ? 'source' : 'target', volume: (await disk.read())['state'] });
const before = { state: 'RUNNING', isOn: 'source', volume: 'IN_USE' };
const after = { state: 'RUNNING', isOn: 'target', volume: 'IN_USE' };

/** Until the guest goes, everything can be undone. */
const UNDONE = ['migration.check-source', 'migration.check-target', 'network.migrate-in', 'storage.migrate-in'];
/** Once it has gone, there is only the way forward. */
const ONWARD = ['migration.move', 'vms.clean-source', 'network.migrate-out', 'storage.migrate-out', 'vms.moved'];

proveSagas({
  sagas: [saga<Subject>({ title: 'migrate', prepare: begins, ask, look, before, after, steps: UNDONE.map((name) => ({ name })), cleanUp: () => Promise.resolve() })],
  disturbance: trouble,
  system: () => fleet.system,
  nothingLeftBehind,
});

describe('a migration that turned back tells whether something had been done', () => {
  it.each([
    ['migration.check-target', 'FAILED'],
    ['storage.migrate-in', 'ROLLED_BACK'],
  ])('%s fails: %s', async (name, state) => {
    const subject = await begins();
    trouble.set({
      run: async (step, effect) => {
        if (step.name === name) throw new DomainError('CONFLICT', 'The test made it fail.');
        return effect();
      },
    });
    const move = await migrate(fleet.operator, { vmId: vm.id, hostId: subject.target, copyStorage: true });
    expect(await move.ends()).toMatchObject({ state, error: { code: 'CONFLICT' } });
    trouble.set(null);
  });
});

/** Where the VM is once the migration has succeeded, and nothing is left behind. */
async function seenAtTheEnd(operation: Operation, subject: Subject): Promise<unknown> {
  await operation.succeeds(120_000);
  await eventually('a clean house', async () => (await nothingLeftBehind(), true), { timeoutMs: 10_000 });
  return look(subject);
}

describe('once the guest has gone, the engine may die after the effect of a step: its successor ends the migration', () => {
  it.each(ONWARD)('%s', async (name) => {
    const subject = await begins();
    const reached = Promise.withResolvers<void>();
    trouble.set({
      run: async (step, effect, run) => {
        const done = await effect();
        if (step.name !== name) return done;
        reached.resolve();
        return new Promise((_resolve, reject) => run.signal.addEventListener('abort', () => reject(run.signal.reason as Error), { once: true })); // what aborts a step is always an Error
      },
    });
    const operation = await ask(subject);
    await reached.promise;
    await fleet.system.stop({ force: true });
    await fleet.system.sql('UPDATE operations.host_lease SET expires_at = clock_timestamp()');
    await fleet.system.sql('UPDATE operations.step SET claimed_until = clock_timestamp() WHERE claimed_until > clock_timestamp()');
    trouble.set(null);
    await fleet.system.start();
    expect(await seenAtTheEnd(operation, subject)).toEqual(after);
  }, 120_000);
});

describe('once the guest has gone, a step that fails is tried again, and a wish to cancel comes too late', () => {
  it.each(ONWARD.slice(1))('%s', async (name) => {
    const subject = await begins();
    let failures = 3;
    trouble.set({
      run: (step, effect) => {
        failures -= step.name === name ? 1 : 0;
        if (step.name === name && failures >= 0) throw new Error('The test made it fail.');
        return effect();
      },
    });
    const operation = await ask(subject);
    await eventually('the step to fail', () => failures < 3, { timeoutMs: 60_000, intervalMs: 20 });
    expect((await fleet.operator.refused('mutation ($id: ID!) { cancelOperation(id: $id) { id } }', { id: operation.id })).extensions.code).toBe('INVALID_STATE');
    expect(await seenAtTheEnd(operation, subject)).toEqual(after);
    trouble.set(null);
  }, 120_000);
});
