import { newId } from '@novacron/core';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Loose } from '../kit/client.ts';
import { Subscription } from '../kit/subscription.ts';
import type { Vm } from '../kit/vm.ts';
import { claimsAddUp, domainState, haveVmOn, isOnlyOn, MIB, migrate, refused, startFleet, type Fleet } from './moves.ts';

/** A guest moves from host to host, as the public graph tells it. */

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

/** The host that it is not on. */
const elsewhere = async (): Promise<string> => ((await vm.read('host { id }'))['host'].id === here ? there : here);

describe('a running VM', () => {
  it('moves without a host being named, and tells how it went', async () => {
    const target = await elsewhere();
    const move = await migrate(fleet.operator, { vmId: vm.id });
    await move.operation.succeeds();
    const done = await move.read();
    expect(done).toMatchObject({ state: 'SUCCEEDED', progress: 1, mode: 'LIVE', error: null, message: null, vm: { id: vm.id }, to: { id: target }, operation: { state: 'SUCCEEDED' } });
    expect(done['memoryTotal']).toBeGreaterThan(64 * MIB);
    expect(done['memoryTransferred']).toBeGreaterThan(MIB);
    expect(done['memoryRemaining']).toBe(0);
    expect(done['iteration']).toBeGreaterThan(0);
    expect(done['downtimeMs']).toBeGreaterThan(0);
    expect(done['downtimeMs']).toBeLessThan(5_000);
    expect(Date.parse(done['finishedAt'])).toBeGreaterThan(Date.parse(done['startedAt']));
    await isOnlyOn(fleet, vm, target);
  });

  it('shows each step of the way to who watches, and ends in one transaction', async () => {
    const target = await elsewhere();
    const watching = await Subscription.open<Loose>(fleet.operator, 'subscription ($ids: [ID!]) { vmChanged(ids: $ids) { vm { state host { id } } } }', { ids: [vm.id] });
    const move = await migrate(fleet.operator, { vmId: vm.id, hostId: target, bandwidthBytesPerSecond: 16 * MIB });
    const progress = await Subscription.open<Loose>(fleet.operator, 'subscription ($id: ID!) { migrationProgress(id: $id) { id state progress memoryTotal memoryRemaining to { name } } }', { id: move.id });
    const last = await progress.until('the end', (data) => data['migrationProgress'].state === 'SUCCEEDED');
    expect(last.data['migrationProgress']).toMatchObject({ id: move.id, progress: 1, memoryRemaining: 0, to: { name: expect.stringMatching(/^hv/) } });
    const seen = progress.messages.map(({ data }) => data['migrationProgress']);
    expect(seen.map(({ state }) => state)).toContain('COPYING_MEMORY');
    expect(seen.map((one) => one['progress'])).toEqual(seen.map((one) => one['progress']).toSorted((a, b) => a - b));
    // whoever hears that it is over finds the VM there, and the operation ended
    const [ended] = await fleet.system.sql('SELECT finished_at FROM operations.operation WHERE id = $1', [move.operation.id]);
    expect(ended?.['finished_at']).not.toBeNull();
    await watching.until('the VM on its new host', (data) => data['vmChanged'].vm.state === 'RUNNING' && data['vmChanged'].vm.host.id === target);
    expect(watching.messages[0]?.data['vmChanged'].vm.state).toBe('MIGRATING');
    await isOnlyOn(fleet, vm, target);
  });

  it('is sent no faster than was allowed', async () => {
    const limit = 8 * MIB;
    const move = await migrate(fleet.operator, { vmId: vm.id, hostId: await elsewhere(), bandwidthBytesPerSecond: limit });
    const done = await move.ends();
    expect(done).toMatchObject({ state: 'SUCCEEDED', bandwidthBytesPerSecond: limit });
    const seconds = (Date.parse(done['finishedAt']) - Date.parse(done['startedAt'])) / 1000;
    expect(done['memoryTransferred'] / seconds).toBeLessThan(limit * 1.1);
  });

  it('asked for twice, moves once; asked to another host, is refused', async () => {
    const target = await elsewhere();
    const idempotencyKey = newId<string>();
    const input = { vmId: vm.id, hostId: target, bandwidthBytesPerSecond: 16 * MIB };
    const [first, second] = await Promise.all([migrate(fleet.operator, input), migrate(fleet.operator, input)]);
    expect([second.id, second.operation.id]).toEqual([first.id, first.operation.id]);
    expect((await migrate(fleet.operator, { vmId: vm.id })).id).toBe(first.id);
    expect(await refused(fleet.operator, { vmId: vm.id, hostId: target === here ? there : here })).toMatchObject({ code: 'INVALID_STATE', field: 'hostId' });
    expect(await fleet.operator.refused('mutation ($id: ID!) { stopVm(id: $id) { operation { id } } }', { id: vm.id })).toMatchObject({ extensions: { code: 'INVALID_STATE' } });
    await first.operation.succeeds();

    const back = { vmId: vm.id, hostId: await elsewhere(), idempotencyKey };
    const keyed = await migrate(fleet.operator, back);
    await keyed.operation.succeeds();
    expect((await migrate(fleet.operator, back)).id).toBe(keyed.id);
    expect(await refused(fleet.operator, { ...back, copyStorage: true })).toMatchObject({ code: 'CONFLICT', field: 'idempotencyKey' });
  });

  it('is in lists, by VM and by state, for who may read', async () => {
    const query = 'query ($filter: MigrationFilter) { migrations(filter: $filter) { totalCount edges { node { id state } } } }';
    const { migrations } = await fleet.operator.run(query, { filter: { vmId: vm.id, states: ['SUCCEEDED'] } });
    expect(migrations.totalCount).toBeGreaterThan(3);
    expect((await fleet.operator.run(query, { filter: { vmId: vm.id, states: ['FAILED'] } }))['migrations'].totalCount).toBe(0);
    const [newest] = migrations.edges;
    expect((await vm.read('migrations(first: 1) { totalCount edges { node { id vm { name } } } }'))['migrations']).toEqual({
      totalCount: migrations.totalCount,
      edges: [{ node: { id: newest.node.id, vm: { name: vm.name } } }],
    });
    const stranger = fleet.system.graph.as(fleet.people.stranger);
    expect((await stranger.run(query, {}))['migrations']).toEqual({ totalCount: 0, edges: [] });
    expect((await stranger.run('query ($id: ID!) { migration(id: $id) { id } }', { id: newest.node.id }))['migration']).toBeNull();
    expect((await stranger.refused('mutation ($id: ID!) { cancelMigration(id: $id) { migration { id } } }', { id: newest.node.id })).extensions.code).toBe('NOT_FOUND');
    expect((await fleet.operator.refused('mutation ($id: ID!) { cancelMigration(id: $id) { migration { id } } }', { id: newest.node.id })).extensions.code).toBe('INVALID_STATE');
  });
});

describe('a VM that does not run', () => {
  it('moves while it is paused, and stays paused', async () => {
    await vm.bring('PAUSED');
    const target = await elsewhere();
    expect(await (await migrate(fleet.operator, { vmId: vm.id, hostId: target })).ends()).toMatchObject({ state: 'SUCCEEDED' });
    await isOnlyOn(fleet, vm, target, 'PAUSED');
    await vm.bring('RUNNING');
  });

  it('moves while it is off, and starts where it went', async () => {
    await vm.bring('STOPPED');
    const target = await elsewhere();
    const move = await migrate(fleet.operator, { vmId: vm.id, hostId: target, mode: 'OFFLINE' });
    expect(await move.ends()).toMatchObject({ state: 'SUCCEEDED', mode: 'OFFLINE', downtimeMs: null, memoryTotal: null });
    await isOnlyOn(fleet, vm, target, 'STOPPED');
    await vm.does('start');
    expect(await domainState(fleet.hostOf(target), vm)).toBe('running');
  });
});
