import { createHash } from 'node:crypto';
import { eventually, startImageServer, type ImageServer } from '@novacron/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Answer, Graph, Loose } from './kit/client.ts';
import { startEmbedded, type Embedded } from './kit/embedded.ts';
import { haltingDisk, haveImage } from './kit/image.ts';
import { makePeople, type People } from './kit/people.ts';
import { Operation } from './kit/vm.ts';
import { deleteSnapshot, haveVolume, localPools, MIB, newName, nothingLeftBehind, Volume } from './storage/storage.ts';

/** What a tenant may use of volumes, snapshots and networks: exactly that, whoever asks at once, and again what was given back. */

const CREATE_VOLUME = 'mutation ($input: CreateVolumeInput!) { done: createVolume(input: $input) { volume { id } operation { id } } }';
const SNAPSHOT = 'mutation ($id: ID!, $name: String!) { done: snapshotVolume(id: $id, name: $name) { operation { id } } }';
const CREATE_NETWORK = 'mutation ($input: CreateNetworkInput!) { done: createNetwork(input: $input) { network { id } operation { id } } }';

let system: Embedded;
let server: ImageServer;
let people: People;
let admin: Graph;

beforeAll(async () => {
  server = await startImageServer({ '/disk.raw': haltingDisk() });
  system = await startEmbedded({ NOVACRON_IMPORT_ALLOW: '127.0.0.1/32' });
  people = await makePeople(system.graph);
  admin = system.graph.as(people.platformAdmin);
  const hostId = await system.registerHost(admin);
  await eventually('the pool of the host', async () => (await localPools(system)).get(hostId));
});
afterAll(async () => {
  await system?.close();
  await server?.stop();
});

async function tenantWith(quota: object): Promise<string> {
  const { createTenant } = await admin.run('mutation ($input: CreateTenantInput!) { createTenant(input: $input) { id } }', { input: { name: newName('tenant'), quota } });
  return createTenant.id;
}

const usageOf = async (id: string): Promise<Loose> => (await admin.run('query ($id: ID!) { tenant(id: $id) { usage { storage snapshots networks operationsInFlight } } }', { id }))['tenant'].usage;
const NOTHING = { storage: 0, snapshots: 0, networks: 0, operationsInFlight: 0 };

/** Asks for the same so many times at once; what was accepted, and what the others were told. */
async function atOnce(document: string, variables: readonly object[]): Promise<{ done: Loose[]; refused: Answer['errors'] }> {
  const answers = await Promise.all(variables.map((one) => admin.ask(document, one)));
  return { done: answers.flatMap(({ data }) => (data?.['done'] ? [data['done']] : [])), refused: answers.flatMap(({ errors }) => errors) };
}
const refusal = (message: string, field?: string) => ({ message, extensions: { code: 'QUOTA_EXCEEDED', retryable: false, ...(field === undefined ? {} : { field }) } });
const cleanHouse = () => eventually('a clean house', async () => (await nothingLeftBehind(system), true), { timeoutMs: 30_000 });
const succeeded = (done: Loose[]) => Promise.all(done.map(({ operation }) => new Operation(admin, operation.id).succeeds(120_000)));

describe('the quota of storage', () => {
  it('is what volumes have by their size, and no more', async () => {
    const tenantId = await tenantWith({ storage: '14MiB' });
    const input = () => ({ input: { name: newName(), size: '4MiB', tenantId } });
    const { done, refused } = await atOnce(CREATE_VOLUME, Array.from({ length: 8 }, input));
    expect(done).toHaveLength(3);
    expect(refused).toHaveLength(5);
    for (const error of refused) expect(error).toMatchObject(refusal('The tenant uses 12 of 14 MiB of storage; this needs 4 more.', 'size'));
    await succeeded(done);
    expect(await usageOf(tenantId)).toEqual({ ...NOTHING, storage: 12 * MIB });

    const [first, second, third] = done.map(({ volume }) => new Volume(admin, volume.id)) as [Volume, Volume, Volume]; // three were made
    const RESIZE = 'mutation ($id: ID!, $size: ByteSize!) { resizeVolume(id: $id, size: $size) { operation { id } } }';
    expect(await admin.refused(RESIZE, { id: first.id, size: '8MiB' })).toMatchObject(refusal('The tenant uses 12 of 14 MiB of storage; this needs 4 more.', 'size'));
    expect(await admin.refused(SNAPSHOT, { id: first.id, name: 'too-much' })).toMatchObject(refusal('The tenant uses 12 of 14 MiB of storage; this needs 4 more.'));
    await first.does((one) => one.resize('6MiB'));
    expect(await usageOf(tenantId)).toEqual({ ...NOTHING, storage: 14 * MIB });

    await second.does((one) => one.delete());
    expect(await usageOf(tenantId)).toEqual({ ...NOTHING, storage: 10 * MIB });
    await third.does((one) => one.snapshot('fits'));
    expect(await usageOf(tenantId)).toEqual({ ...NOTHING, storage: 14 * MIB, snapshots: 1 });

    const { snapshots } = await third.read();
    await (await deleteSnapshot(admin, snapshots[0].id)).operation.succeeds();
    for (const volume of [first, third]) await volume.does((one) => one.delete());
    expect(await usageOf(tenantId)).toEqual(NOTHING);
    await cleanHouse();
  });

  it('gives back what was not made after all', async () => {
    const tenantId = await tenantWith({ storage: '4MiB' });
    const { done } = await atOnce(CREATE_VOLUME, [{ input: { name: newName(), size: '4MiB', tenantId } }]);
    await admin.ask('mutation ($id: ID!) { cancelOperation(id: $id) { id } }', { id: done[0]?.['operation'].id });
    const ended = await new Operation(admin, done[0]?.['operation'].id).ends(120_000);
    if (ended.state === 'SUCCEEDED') await new Volume(admin, done[0]?.['volume'].id).does((one) => one.delete()); // the cancel came too late
    await haveVolume(admin, { tenantId });
    expect(await usageOf(tenantId)).toEqual({ ...NOTHING, storage: 4 * MIB });
  });
});

it('the quota of storage counts images once, and boot disks for as long as they are there', async () => {
  const operator = system.graph.as(people.operator);
  const limit = (storage: string) =>
    admin.run('mutation ($input: UpdateTenantInput!) { updateTenant(input: $input) { id } }', { input: { id: people.acme, quota: { storage } } });
  const storage = async () => (await usageOf(people.acme))['storage'] / MIB;
  const ends = async (document: string, variables: object) => new Operation(operator, (await operator.run(document, variables))['done'].operation.id).succeeds(120_000);

  const imageId = await haveImage(operator);
  expect(await storage()).toBe(1);
  await limit('3MiB');
  const CREATE = 'mutation ($input: CreateVmInput!) { done: createVm(input: $input) { vm { id } operation { id } } }';
  const { done, refused } = await atOnce(CREATE, Array.from({ length: 4 }, () => ({ input: { name: newName('vm'), memory: '32MiB', imageId, networks: [], start: false, tenantId: people.acme } })));
  expect(done).toHaveLength(2);
  expect(refused).toHaveLength(2);
  for (const error of refused) expect(error).toMatchObject(refusal('The tenant uses 3 of 3 MiB of storage; this needs 1 more.', 'bootDiskSize'));
  await succeeded(done);

  const DELETE = 'mutation ($id: ID!, $keep: Boolean!) { done: deleteVm(id: $id, keepVolumes: $keep) { operation { id } } }';
  const [kept] = await system.sql<{ id: string }>('SELECT id FROM storage.volume WHERE vm_id = $1', [done[0]?.['vm'].id]);
  await ends(DELETE, { id: done[0]?.['vm'].id, keep: true });
  expect(await storage()).toBe(3);
  await ends(DELETE, { id: done[1]?.['vm'].id, keep: false });
  expect(await storage()).toBe(2);
  await new Volume(operator, kept?.id ?? '').does((one) => one.delete());
  await ends('mutation ($id: ID!) { done: deleteImage(id: $id) { operation { id } } }', { id: imageId });
  expect(await usageOf(people.acme)).toEqual(NOTHING);

  await limit('0MiB');
  const disk = haltingDisk();
  const UPLOAD = 'mutation ($input: ImageUploadInput!) { createImageUpload(input: $input) { image { id } url } }';
  const announced = { name: 'too-large', format: 'raw', sha256: createHash('sha256').update(disk).digest('hex'), size: disk.length };
  const message = 'The tenant uses 0 of 0 MiB of storage; this needs 1 more.';
  expect(await operator.refused(UPLOAD, { input: announced })).toMatchObject(refusal(message, 'size'));
  // how large the file behind a URL is, only its operation finds out
  const IMPORT = 'mutation ($input: ImportImageInput!) { done: importImage(input: $input) { operation { id } } }';
  const { done: importing } = await operator.run(IMPORT, { input: { name: 'too-large', url: `${server.url}/disk.raw` } });
  expect(await new Operation(operator, importing.operation.id).ends(120_000)).toMatchObject({ state: 'FAILED', error: { code: 'QUOTA_EXCEEDED', message } });
  expect(await usageOf(people.acme)).toEqual(NOTHING);
  await cleanHouse();
});

it('the quota of snapshots counts those of all volumes', async () => {
  const tenantId = await tenantWith({ snapshots: 2 });
  const made = await atOnce(CREATE_VOLUME, Array.from({ length: 4 }, () => ({ input: { name: newName(), size: '1MiB', tenantId } })));
  await succeeded(made.done);
  const { done, refused } = await atOnce(SNAPSHOT, made.done.map(({ volume }) => ({ id: volume.id, name: 'one' })));
  expect(done).toHaveLength(2);
  expect(refused).toMatchObject([refusal('The tenant uses 2 of 2 snapshots; this needs 1 more.'), refusal('The tenant uses 2 of 2 snapshots; this needs 1 more.')]);
  await succeeded(done);
  expect(await usageOf(tenantId)).toEqual({ ...NOTHING, storage: 6 * MIB, snapshots: 2 });
  await cleanHouse();
});

it('the quota of networks counts a tenant\'s own', async () => {
  const tenantId = await tenantWith({ networks: 2 });
  const input = () => ({ input: { name: newName('network'), tenantId } });
  const { done, refused } = await atOnce(CREATE_NETWORK, Array.from({ length: 6 }, input));
  expect(done).toHaveLength(2);
  expect(refused).toHaveLength(4);
  for (const error of refused) expect(error).toMatchObject(refusal('The tenant uses 2 of 2 networks; this needs 1 more.'));
  const DELETE = 'mutation ($id: ID!) { deleteNetwork(id: $id) { operation { id } } }';
  await Promise.all([1, 2].map(() => admin.ask(DELETE, { id: done[0]?.['network'].id }))); // the second finds nothing
  expect(await usageOf(tenantId)).toEqual({ ...NOTHING, networks: 1 });
  expect((await atOnce(CREATE_NETWORK, Array.from({ length: 3 }, input))).done).toHaveLength(1);
  expect(await usageOf(tenantId)).toEqual({ ...NOTHING, networks: 2 });
});

it('nothing is made for a tenant that there is not', async () => {
  const tenantId = '018f0000-0000-7000-8000-000000000000';
  for (const [document, input] of [
    [CREATE_VOLUME, { name: newName(), size: '1MiB', tenantId }],
    [CREATE_NETWORK, { name: newName('network'), tenantId }],
  ] as const) {
    expect(await admin.refused(document, { input })).toMatchObject({ extensions: { code: 'NOT_FOUND', field: 'tenantId' } });
  }
});
