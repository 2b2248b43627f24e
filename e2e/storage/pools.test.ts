import { mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually } from '@novacron/testkit';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Graph } from '../kit/client.ts';
import { startEmbedded, type Embedded } from '../kit/embedded.ts';
import { makePeople, type People } from '../kit/people.ts';
import { haveVm } from '../kit/vm.ts';
import { createPool, haveVolume, localPools, newName, nothingLeftBehind } from './storage.ts';

/** Pools of several hosts, and the proof that they share them. */

const CREATE = 'mutation ($input: CreateStoragePoolInput!) { createStoragePool(input: $input) { operation { id } } }';

let system: Embedded;
let people: People;
let admin: Graph;
let hostIds: string[];
let directory: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'pools-'));
  system = await startEmbedded({}, { hosts: 2 });
  people = await makePeople(system.graph);
  admin = system.graph.as(people.platformAdmin);
  hostIds = [await system.registerHost(admin), await system.registerHost(admin, system.hosts[1])];
  await eventually('the pools of both hosts', async () => (await localPools(system)).size === 2);
});
afterEach(() => eventually('a clean house', async () => (await nothingLeftBehind(system), true), { timeoutMs: 10_000 }));
afterAll(async () => {
  await system?.close();
  await rm(directory, { recursive: true, force: true });
});

const read = async (id: string) => (await admin.run('query ($id: ID!) { storagePool(id: $id) { name state shared tier hosts { id } } }', { id }))['storagePool'];

it('a shared pool is the same on all of its hosts, and its volumes go to VMs on each', async () => {
  const name = newName('shared');
  const { id, operation } = await createPool(admin, { name, hostIds, path: join(directory, name), shared: true, tier: 'fast' });
  await operation.succeeds();
  const seen = await read(id);
  expect({ ...seen, hosts: seen.hosts.map((host: { id: string }) => host.id).toSorted() }).toEqual({ name, state: 'READY', shared: true, tier: 'fast', hosts: hostIds.toSorted() });
  expect(await readdir(join(directory, name))).toEqual([`novacron-${id}.pool`]);

  const operator = system.graph.as(people.operator);
  const volume = await haveVolume(operator, { poolId: id });
  for (const hostId of hostIds) {
    const vm = await haveVm(operator, system.guest, { networks: [], placement: { hostId } });
    expect(await volume.does((one) => one.attach(vm.id))).toMatchObject({ state: 'IN_USE', attachedTo: { id: vm.id } });
    await volume.does((one) => one.detach());
    await vm.does('delete');
  }
  await volume.does((one) => one.delete());
});

it('a shared pool whose directory is another one after a restart is not used there until it is the same again', async () => {
  const name = newName('mounted');
  const { id, operation } = await createPool(admin, { name, hostIds, path: join(directory, name), shared: true });
  await operation.succeeds();
  const [marker, away] = [join(directory, name, `novacron-${id}.pool`), join(directory, 'away')];
  const seat = async () => (await system.sql('SELECT state, problem FROM storage.pool_host WHERE pool_id = $1 AND host_id = $2', [id, hostIds[1]]))[0];
  const restart = async () => {
    await system.hosts[1]?.killDaemon();
    await system.hosts[1]?.startDaemon();
  };
  await rename(marker, away);
  await restart();
  await eventually('the pool to be refused', async () => expect(await seat()).toEqual({ state: 'UNAVAILABLE', problem: expect.stringMatching('does not see the file') }), { timeoutMs: 30_000 });
  await rename(away, marker);
  await restart();
  await eventually('the pool to be back', async () => expect(await seat()).toEqual({ state: 'READY', problem: null }), { timeoutMs: 30_000 });
});

it('a directory that the other host does not see is no shared one, and nothing of it stays', async () => {
  // /var/lib/libvirt is each test host's own
  const { id, operation } = await createPool(admin, { name: newName('apart'), hostIds, path: '/var/lib/libvirt/apart', shared: true });
  expect(await operation.ends()).toMatchObject({ state: 'FAILED', error: { code: 'INVALID_STATE', field: 'path' } });
  expect(await read(id)).toBeNull();
});

it("a host's own pool beside its first one", async () => {
  const name = newName('own');
  for (const hostId of hostIds) {
    const { id, operation } = await createPool(admin, { name, hostIds: [hostId], path: `/var/lib/libvirt/${name}` });
    await operation.succeeds();
    expect(await read(id)).toMatchObject({ name, state: 'READY', shared: false, hosts: [{ id: hostId }] });
  }
});

describe('what is refused changes nothing', () => {
  it.each([
    ['a relative path', { path: 'pool' }, 'BAD_USER_INPUT', 'path'],
    ['a path that climbs', { path: '/var/lib/../../etc' }, 'BAD_USER_INPUT', 'path'],
    ['a bad name', { name: 'A pool' }, 'BAD_USER_INPUT', 'name'],
    ['a name that the host has', { name: 'local' }, 'ALREADY_EXISTS', 'name'],
    ['no hosts', { hostIds: [] }, 'BAD_USER_INPUT', 'hostIds'],
    ['an unknown host', { hostIds: ['00000000-0000-7000-8000-000000000000'] }, 'NOT_FOUND', 'hostIds'],
  ])('%s', async (_what, input, code, field) => {
    const error = await admin.refused(CREATE, { input: { name: newName(), hostIds: [hostIds[0]], path: '/var/lib/libvirt/x', ...input } });
    expect(error.extensions).toMatchObject({ code, field });
  });

  it('several hosts that are not said to share it', async () => {
    const error = await admin.refused(CREATE, { input: { name: newName(), hostIds, path: '/var/lib/libvirt/x' } });
    expect(error.extensions).toMatchObject({ code: 'BAD_USER_INPUT', field: 'hostIds' });
  });

  it('who does not administer the platform', async () => {
    const tenantAdmin = system.graph.as(people.tenantAdmin);
    expect((await tenantAdmin.refused(CREATE, { input: { name: newName(), hostIds, path: '/var/lib/libvirt/x' } })).extensions.code).toBe('FORBIDDEN');
  });
});

it('an encrypted volume of a VM that is made with it is unlocked before it starts, and free again when the VM is gone', async () => {
  const operator = system.graph.as(people.operator);
  const poolId = (await localPools(system)).get(hostIds[0] ?? '');
  const volume = await haveVolume(operator, { poolId, encrypted: true, format: 'raw', size: '1MiB' });
  const vm = await haveVm(operator, system.guest, { networks: [], volumes: [volume.id] });
  expect(await vm.read('host { id } disks { device volume { id state } }')).toEqual({ host: { id: hostIds[0] }, disks: [{ device: 'vda', volume: { id: volume.id, state: 'IN_USE' } }] });
  await vm.does('delete');
  expect(await volume.read()).toMatchObject({ state: 'AVAILABLE', attachedTo: null });
  await volume.does((one) => one.delete());
}, 180_000);
