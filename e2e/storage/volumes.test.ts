import { eventually } from '@novacron/testkit';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Graph } from '../kit/client.ts';
import { startEmbedded, type Embedded } from '../kit/embedded.ts';
import { makePeople, type People } from '../kit/people.ts';
import { createVolume, deleteSnapshot, haveVolume, localPools, MIB, newName, nothingLeftBehind } from './storage.ts';

/** Volumes without a VM, on a real libvirt. */

let system: Embedded;
let people: People;
let operator: Graph;
let poolId: string;

beforeAll(async () => {
  system = await startEmbedded();
  people = await makePeople(system.graph);
  operator = system.graph.as(people.operator);
  const hostId = await system.registerHost(system.graph.as(people.platformAdmin));
  poolId = await eventually('the pool of the host', async () => (await localPools(system)).get(hostId));
});
afterEach(() => eventually('a clean house', async () => (await nothingLeftBehind(system), true), { timeoutMs: 5_000 }));
afterAll(() => system?.close());

const pool = async () => (await operator.run('query ($id: ID!) { storagePool(id: $id) { name type tier state shared capacity allocated available hosts { name state } } }', { id: poolId }))['storagePool'];

describe("a host's own pool", () => {
  it('is there with the host, and says what room it has', async () => {
    const seen = await pool();
    expect(seen).toMatchObject({ name: 'local', type: 'dir', tier: 'standard', state: 'READY', shared: false, hosts: [{ name: system.host.name, state: 'ONLINE' }] });
    expect(seen.capacity).toBeGreaterThan(0);
    expect(seen.available).toBeLessThanOrEqual(seen.capacity);
    expect(await system.host.virsh('pool-info', 'nc-local')).toMatch(/State:\s+running[^]*Autostart:\s+yes/);
  });
});

describe.each(['qcow2', 'raw'])('a %s volume', (format) => {
  it('is made, grows, is kept as a snapshot, and goes', async () => {
    const before = (await pool()).allocated;
    const volume = await haveVolume(operator, { size: '8MiB', format });
    expect(await volume.read()).toMatchObject({ state: 'AVAILABLE', size: 8 * MIB, format, encrypted: false, generation: 2, attachedTo: null, pool: { name: 'local' }, tenant: { id: people.acme } });
    expect((await pool()).allocated - before).toBe(8 * MIB);
    const info = () => system.host.virsh('vol-info', '--bytes', '--pool', 'nc-local', `vol-${volume.id}.${format}`);
    expect(await info()).toMatch(/Capacity:\s+8388608 bytes/);

    expect(await volume.does((one) => one.resize('16MiB'))).toMatchObject({ state: 'AVAILABLE', size: 16 * MIB });
    expect(await info()).toMatch(/Capacity:\s+16777216 bytes/);

    const { snapshots } = await volume.does((one) => one.snapshot('before'));
    expect(snapshots).toMatchObject([{ name: 'before', size: 16 * MIB, state: 'AVAILABLE' }]);
    expect((await pool()).allocated - before).toBe(32 * MIB);
    expect(await operator.refused('mutation ($id: ID!) { deleteVolume(id: $id) { operation { id } } }', { id: volume.id })).toMatchObject({
      message: 'The volume has a snapshot: delete it first.',
      extensions: { code: 'INVALID_STATE' },
    });
    const copy = await haveVolume(operator, { size: null, snapshotId: snapshots[0].id });
    expect(await copy.read()).toMatchObject({ size: 16 * MIB, state: 'AVAILABLE' });
    await copy.does((one) => one.delete());

    await (await deleteSnapshot(operator, snapshots[0].id)).operation.succeeds();
    expect(await volume.does((one) => one.delete())).toMatchObject({ state: 'DELETED' });
    expect((await pool()).allocated).toBe(before);
  });
});

it('volumes are found by what is said of them', async () => {
  const name = newName('findme');
  const volume = await haveVolume(operator, { name });
  const find = async (filter: object) => (await operator.run('query ($filter: VolumeFilter) { volumes(filter: $filter) { totalCount edges { node { id } } } }', { filter }))['volumes'];
  const found = { totalCount: 1, edges: [{ node: { id: volume.id } }] };
  expect(await find({ search: 'FINDME', tenantId: people.acme, poolId, state: 'AVAILABLE' })).toEqual(found);
  for (const filter of [{ search: 'find%me' }, { search: name, state: 'IN_USE' }, { search: name, state: 'odd' }, { search: name, vmId: volume.id }, { search: name, poolId: 'odd' }]) {
    expect(await find(filter)).toMatchObject({ totalCount: 0 });
  }
  await volume.does((one) => one.delete());
});

describe('what is refused changes nothing', () => {
  const CREATE = 'mutation ($input: CreateVolumeInput!) { createVolume(input: $input) { operation { id } } }';
  it.each([
    ['a bad name', { name: 'No' }, 'BAD_USER_INPUT', 'name'],
    ['no size', { size: null }, 'BAD_USER_INPUT', 'size'],
    ['half a MiB', { size: '0.5MiB' }, 'BAD_USER_INPUT', 'size'],
    ['parts of a MiB', { size: 2 * MIB + 512 }, 'BAD_USER_INPUT', 'size'],
    ['more than the pool has', { size: '60TiB' }, 'NO_CAPACITY', 'size'],
    ['another format', { format: 'vmdk' }, 'BAD_USER_INPUT', 'format'],
    ['an unknown pool', { poolId: '00000000-0000-7000-8000-000000000000' }, 'NOT_FOUND', 'poolId'],
    ['no id of a pool', { poolId: 'odd' }, 'NOT_FOUND', 'poolId'],
    ['an unknown snapshot', { snapshotId: '00000000-0000-7000-8000-000000000000' }, 'NOT_FOUND', 'snapshotId'],
  ])('%s', async (_what, input, code, field) => {
    const error = await operator.refused(CREATE, { input: { name: newName(), size: '1MiB', ...input } });
    expect(error.extensions).toMatchObject({ code, field });
  });

  it('room that is not there, and how much of it', async () => {
    expect((await operator.refused(CREATE, { input: { name: newName(), size: '60TiB' } })).message).toMatch(/"local".*short by \d+ MiB/);
    expect((await operator.refused(CREATE, { input: { name: newName(), size: '60TiB', poolId } })).message).toMatch(/^Storage pool "local" is short by \d+ MiB\.$/);
  });

  it('a name that is taken', async () => {
    const volume = await haveVolume(operator, { name: 'taken' });
    expect((await operator.refused(CREATE, { input: { name: 'taken', size: '1MiB' } })).extensions).toMatchObject({ code: 'ALREADY_EXISTS', field: 'name' });
    await volume.does((one) => one.delete());
  });

  it('to grow smaller, or not at all', async () => {
    const volume = await haveVolume(operator);
    const RESIZE = 'mutation ($id: ID!, $size: ByteSize!) { resizeVolume(id: $id, size: $size) { operation { id } } }';
    for (const size of ['4MiB', '1MiB']) expect((await operator.refused(RESIZE, { id: volume.id, size })).extensions).toMatchObject({ code: 'BAD_USER_INPUT', field: 'size' });
    expect((await operator.refused(RESIZE, { id: volume.id, size: '60TiB' })).extensions).toMatchObject({ code: 'NO_CAPACITY', field: 'size' });
    expect((await operator.refused('mutation ($id: ID!) { detachVolume(volumeId: $id) { operation { id } } }', { id: volume.id })).extensions).toMatchObject({ code: 'INVALID_STATE' });
    await volume.does((one) => one.delete());
  });

  it('a volume of another tenant is not there', async () => {
    const volume = await haveVolume(operator);
    const stranger = system.graph.as(people.stranger);
    expect(await stranger.run('query ($id: ID!) { volume(id: $id) { id } volumes { totalCount } }', { id: volume.id })).toEqual({ volume: null, volumes: { totalCount: 0 } });
    for (const mutation of ['deleteVolume(id: $id)', 'resizeVolume(id: $id, size: "8MiB")', 'detachVolume(volumeId: $id)', 'attachVolume(volumeId: $id, vmId: $id)', 'snapshotVolume(id: $id, name: "x")']) {
      const error = await stranger.refused(`mutation ($id: ID!) { ${mutation} { operation { id } } }`, { id: volume.id });
      expect(error.extensions.code).toBe('NOT_FOUND');
    }
    const viewer = system.graph.as(people.viewer);
    expect((await viewer.refused('mutation ($id: ID!) { deleteVolume(id: $id) { operation { id } } }', { id: volume.id })).extensions.code).toBe('FORBIDDEN');
    await volume.does((one) => one.delete());
  });
});

it('the same key answers the first volume', async () => {
  const input = { name: newName(), size: '1MiB', idempotencyKey: newName('key') };
  const [first, second] = await Promise.all([createVolume(operator, input), createVolume(operator, input)]);
  expect(second.volume.id).toBe(first.volume.id);
  await first.operation.succeeds();
  await first.volume.does((one) => one.delete());
});

it('of two requests for the last room, one is refused', async () => {
  const { available } = await pool();
  const size = (Math.floor(available / MIB / 2) + 64) * MIB;
  const asked = await Promise.allSettled([1, 2, 3].map(() => createVolume(operator, { size, poolId })));
  const accepted = asked.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
  expect(accepted).toHaveLength(1);
  expect(asked.flatMap((one) => (one.status === 'rejected' ? [one.reason.code] : []))).toEqual(['NO_CAPACITY', 'NO_CAPACITY']);
  await accepted[0]?.operation.succeeds();
  await accepted[0]?.volume.does((one) => one.delete());
});
