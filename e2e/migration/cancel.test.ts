import { eventually } from '@novacron/testkit';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Vm } from '../kit/vm.ts';
import { claimsAddUp, haveVmOn, isOnlyOn, MIB, migrate, startFleet, type Fleet, type Move } from './moves.ts';

/** Cancelled at any moment, the guest runs where it was, or, if that came too late, where it went. */

let fleet: Fleet;
let vm: Vm;
let here: string;
let there: string;

beforeAll(async () => {
  fleet = await startFleet();
  [here, there] = fleet.hostIds as [string, string]; // startFleet registers two
  vm = await haveVmOn(fleet, here);
});
afterEach(() => claimsAddUp(fleet));
afterAll(() => fleet?.close());

const ends = async (): Promise<{ source: string; target: string }> =>
  (await vm.read('host { id }'))['host'].id === here ? { source: here, target: there } : { source: there, target: here };

const slowly = (target: string): Promise<Move> => migrate(fleet.operator, { vmId: vm.id, hostId: target, bandwidthBytesPerSecond: 4 * MIB });

describe('a migration that is cancelled', () => {
  it('at once, leaves the VM where it was', async () => {
    const { source, target } = await ends();
    const move = await slowly(target);
    expect(await move.cancel()).toMatchObject({ state: 'CANCELLING' });
    expect(await move.ends()).toMatchObject({ state: 'CANCELLED', error: null, operation: { state: 'CANCELLED' } });
    await isOnlyOn(fleet, vm, source);
  });

  it.each(['CHECKING', 'PREPARING', 'COPYING_MEMORY'])('while it is %s, or what comes next, leaves the VM where it was', async (state) => {
    const { source, target } = await ends();
    const move = await slowly(target);
    const order = ['QUEUED', 'CHECKING', 'PREPARING', 'COPYING_MEMORY'];
    await move.becomes(...order.slice(order.indexOf(state)));
    expect(['CANCELLING', 'CANCELLED']).toContain((await move.cancel())['state']);
    expect(await move.ends()).toMatchObject({ state: 'CANCELLED', error: null });
    await isOnlyOn(fleet, vm, source);
  });

  it('twice, is cancelled once', async () => {
    const { source, target } = await ends();
    const move = await slowly(target);
    await eventually('memory on its way', async () => (await move.read())['memoryTransferred'] > MIB, { timeoutMs: 20_000 });
    await Promise.all([move.cancel(), move.cancel()]);
    expect(await move.ends()).toMatchObject({ state: 'CANCELLED' });
    expect((await fleet.operator.refused('mutation ($id: ID!) { cancelMigration(id: $id) { migration { id } } }', { id: move.id })).extensions.code).toBe('INVALID_STATE');
    await isOnlyOn(fleet, vm, source);
  });

  it('by its operation, is cancelled, too', async () => {
    const { source, target } = await ends();
    const move = await slowly(target);
    await eventually('memory on its way', async () => (await move.read())['memoryTransferred'] > MIB, { timeoutMs: 20_000 });
    await fleet.operator.run('mutation ($id: ID!) { cancelOperation(id: $id) { id } }', { id: move.operation.id });
    expect(await move.ends()).toMatchObject({ state: 'CANCELLED' });
    await isOnlyOn(fleet, vm, source);
  });

  it('while the process that leads it is away, is cancelled by the next', async () => {
    const { source, target } = await ends();
    const move = await slowly(target);
    await eventually('memory on its way', async () => (await move.read())['memoryTransferred'] > MIB, { timeoutMs: 20_000 });
    await fleet.system.stop({ force: true });
    await fleet.system.start();
    await move.cancel();
    expect(await move.ends()).toMatchObject({ state: 'CANCELLED' });
    await isOnlyOn(fleet, vm, source);
  });

  it('when it is nearly over, ends one way or the other, and says which', async () => {
    for (const waitMs of [100, 400, 700, 1_000]) {
      const { source, target } = await ends();
      const move = await migrate(fleet.operator, { vmId: vm.id, hostId: target });
      const until = performance.now() + waitMs;
      await eventually('the moment', async () => (await move.read()) !== null && performance.now() > until, { intervalMs: 10 });
      await fleet.operator.ask('mutation ($id: ID!) { cancelMigration(id: $id) { migration { id } } }', { id: move.id }); // too late, it is refused
      const ended = await move.ends();
      expect(['SUCCEEDED', 'CANCELLED']).toContain(ended['state']);
      await isOnlyOn(fleet, vm, ended['state'] === 'SUCCEEDED' ? target : source);
    }
  });
});
