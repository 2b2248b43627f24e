import { bootImage, eventually, guestExec, guestReady, startImageServer, type BootImage, type ImageServer } from '@novacron/testkit';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Graph, Loose } from '../kit/client.ts';
import { startEmbedded, type Embedded } from '../kit/embedded.ts';
import { makePeople, type People } from '../kit/people.ts';

/** VMs whose boot disks are clones of an image that was imported on another host, with a seed of their own. */
let nova: Embedded;
let people: People;
let alice: Graph;
let image: BootImage;
let server: ImageServer;
let imageId: string;
const hostIds: string[] = [];
const KEY = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEkFqPpmQDRbVsFmYq0vPfpYqmJ4yDhZ7Kq0bX3cQqkK alice@example';
/** Another one, which she has told NovaCron of before. */
const KEPT_KEY = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFkFqPpmQDRbVsFmYq0vPfpYqmJ4yDhZ7Kq0bX3cQqkK alice@laptop';

beforeAll(async () => {
  image = await bootImage();
  server = await startImageServer({ '/image.qcow2': image.path, '/plain.raw': Buffer.alloc(2 ** 20, 'x\0') });
  nova = await startEmbedded({ NOVACRON_IMPORT_ALLOW: '127.0.0.1/32' }, { hosts: 2 });
  people = await makePeople(nova.graph);
  alice = nova.graph.as(people.tenantAdmin);
  for (const host of nova.hosts) hostIds.push(await nova.registerHost(nova.graph.as(people.platformAdmin), host));
  await eventually('both pools to be ready', async () => (await nova.sql("SELECT id FROM storage.pool WHERE state = 'READY'")).length === 2, { timeoutMs: 20_000 });
  imageId = await importOnFirst('guest', 'image.qcow2');
}, 180_000);
afterAll(async () => {
  await nova?.close();
  await server?.stop();
});

const ended = (id: string): Promise<Loose> =>
  eventually(`operation ${id} to end`, async () => {
    const { operation } = await alice.run('query ($id: ID!) { operation(id: $id) { state error { code field message } steps { name state } } }', { id });
    return ['SUCCEEDED', 'FAILED', 'CANCELLED'].includes(operation.state) ? operation : null;
  }, { timeoutMs: 60_000 });

/** Imports an image into the pool of the first host. */
async function importOnFirst(name: string, file: string): Promise<string> {
  const [pool] = await nova.sql<{ pool_id: string }>('SELECT pool_id FROM storage.pool_host WHERE host_id = $1', [hostIds[0]]);
  const { importImage } = await alice.run('mutation ($input: ImportImageInput!) { importImage(input: $input) { image { id } operation { id } } }', {
    input: { name, url: `${server.url}/${file}`, poolId: pool?.pool_id },
  });
  const { state } = await ended(importImage.operation.id);
  if (state !== 'SUCCEEDED') throw new Error(`The image ${name} was not imported.`);
  return importImage.image.id;
}

async function createVm(name: string, input: object = {}): Promise<{ vm: Loose; operation: Loose }> {
  const { createVm: created } = await alice.run('mutation ($input: CreateVmInput!) { createVm(input: $input) { vm { id } operation { id } } }', {
    input: { name, memory: '128MiB', imageId, networks: [], placement: { hostId: hostIds[1] }, start: false, ...input },
  });
  return created;
}
const copies = (id = imageId): Promise<Loose[]> => nova.sql('SELECT * FROM storage.image_copy WHERE image_id = $1 ORDER BY pool_id', [id]);
const deleteVm = async (id: string): Promise<Loose> =>
  ended((await alice.run('mutation ($id: ID!) { deleteVm(id: $id) { operation { id } } }', { id }))['deleteVm'].operation.id);
const deleteImage = async (id: string): Promise<Loose> =>
  ended((await alice.run('mutation ($id: ID!) { deleteImage(id: $id) { operation { id } } }', { id }))['deleteImage'].operation.id);
const first = () => {
  const [host] = nova.hosts;
  if (!host) throw new Error('There is no first host.');
  return host;
};
const second = () => {
  const host = nova.hosts[1];
  if (!host) throw new Error('There is no second host.');
  return host;
};

it('two that need the image at once make one copy of it', async () => {
  const vms = await Promise.all([createVm('one'), createVm('two')]);
  for (const { operation } of vms) expect(await ended(operation['id'])).toMatchObject({ state: 'SUCCEEDED', error: null });
  expect(await copies()).toHaveLength(2);
  expect((await copies()).every((copy) => copy['state'] === 'READY' && copy['operation_id'] === null)).toBe(true);
  const volumes = await second().virsh('vol-list', '--pool', 'nc-local');
  expect(volumes.split('\n').filter((line) => line.includes('.image'))).toHaveLength(1);
  expect(server.requests.filter(({ method }) => method === 'GET')).toHaveLength(2); // a look, and the file: hosts have it from each other
  const path = (await second().virsh('vol-path', '--pool', 'nc-local', `${imageId}.image`)).trim();
  expect((await second().exec('sha256sum', path)).split(' ')[0]).toBe(image.sha256);
});

it('an image that volumes stand on is not deleted', async () => {
  const { errors } = await alice.ask('mutation ($id: ID!) { deleteImage(id: $id) { image { id } } }', { id: imageId });
  expect(errors[0]?.extensions.code).toBe('INVALID_STATE');
  expect(await copies()).toHaveLength(2);
});

it('a guest boots from its clone, and does what its seed says', async () => {
  const { addSshKey: kept } = await alice.run('mutation ($input: AddSshKeyInput!) { addSshKey(input: $input) { id publicKey } }', { input: { publicKey: KEPT_KEY } });
  const { vm, operation } = await createVm('seeded', {
    start: true,
    cloudInit: { hostname: 'told-by-seed', sshKeys: [KEY], sshKeyIds: [kept.id], userData: '#!/bin/sh\necho "äöü $(cat /proc/sys/kernel/hostname)" >/run/told\n' },
  });
  expect(await ended(operation['id'])).toMatchObject({ state: 'SUCCEEDED', error: null });
  const domain = `nc-${vm['id']}`;
  await guestReady(second(), domain);
  expect(await guestExec(second(), domain, 'hostname')).toBe('told-by-seed');
  expect(await guestExec(second(), domain, 'cat /root/.ssh/authorized_keys')).toBe(`${KEY}\n${kept.publicKey}`);
  expect(await eventually('the user data to have run', () => guestExec(second(), domain, 'cat /run/told'))).toBe('äöü told-by-seed');
  expect(await second().virsh('vol-list', '--pool', 'nc-local')).toContain(`${vm['id']}-seed.iso`);
}, 120_000);

it('a copy that differs from its image is not kept, and no VM is made of it', async () => {
  const id = await importOnFirst('changed', 'plain.raw');
  const path = (await first().virsh('vol-path', '--pool', 'nc-local', `${id}.image`)).trim();
  await first().exec('sh', '-c', `printf changed | dd of=${path} conv=notrunc status=none`);
  const { operation } = await createVm('unlucky', { imageId: id });
  expect(await ended(operation['id'])).toMatchObject({ state: 'FAILED', error: { code: 'INVALID_STATE', field: 'imageId' } });
  expect(await copies(id)).toHaveLength(1);
  expect(await second().virsh('vol-list', '--pool', 'nc-local')).not.toContain(id);
  expect(await deleteImage(id)).toMatchObject({ state: 'SUCCEEDED' });
}, 120_000);

it('a copy that was cut off by a kill is made by the next agent', async () => {
  const id = await importOnFirst('slow', 'plain.raw');
  await first().exec('sh', '-c', 'kill -STOP $(cat /run/libvirt/libvirtd.pid)');
  const { vm, operation } = await createVm('patient', { imageId: id });
  await eventually('the copy to be begun', async () => (await copies(id)).some((copy) => copy['operation_id'] === operation['id']));
  await nova.stop({ force: true });
  await first().exec('sh', '-c', 'kill -CONT $(cat /run/libvirt/libvirtd.pid)');
  await nova.start();
  expect(await ended(operation['id'])).toMatchObject({ state: 'SUCCEEDED', error: null });
  expect((await copies(id)).map((copy) => [copy['state'], copy['operation_id']])).toEqual([['READY', null], ['READY', null]]);
  expect(await deleteVm(vm['id'])).toMatchObject({ state: 'SUCCEEDED' });
  expect(await deleteImage(id)).toMatchObject({ state: 'SUCCEEDED' });
}, 120_000);

it('after its VMs, an image goes from every pool', async () => {
  const { vms } = await alice.run('{ vms { edges { node { id } } } }');
  for (const { node } of vms.edges as { node: { id: string } }[]) {
    expect(await deleteVm(node.id)).toMatchObject({ state: 'SUCCEEDED' });
  }
  expect(await deleteImage(imageId)).toMatchObject({ state: 'SUCCEEDED' });
  for (const host of nova.hosts) expect(await host.virsh('vol-list', '--pool', 'nc-local')).not.toMatch(/image|seed|qcow2/);
  expect(await nova.sql('SELECT sum(claimed)::int AS claimed FROM storage.pool')).toEqual([{ claimed: 0 }]);
}, 120_000);
