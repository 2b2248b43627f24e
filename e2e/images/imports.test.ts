import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { eventually, startImageServer, testRun, type ImageServer } from '@novacron/testkit';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Graph, Loose } from '../kit/client.ts';
import { startEmbedded, type Embedded } from '../kit/embedded.ts';
import { makePeople, type People } from '../kit/people.ts';

/** Images come in through the public graph, from a web server that behaves and misbehaves, into the pool of a real libvirt. */
let nova: Embedded;
let people: People;
let alice: Graph;
let server: ImageServer;
let elsewhere: ImageServer;
const files: Record<string, Buffer> = {};
const sha = (data: Buffer): string => createHash('sha256').update(data).digest('hex');

beforeAll(async () => {
  const directory = (await testRun()).makeDirectory('images');
  const make = (name: string, ...args: string[]): void => {
    const path = join(directory, name);
    execFileSync('qemu-img', [...args, path], { cwd: directory });
    files[`/${name}`] = readFileSync(path);
  };
  files['/disk.raw'] = randomBytes(2 * 2 ** 20);
  execFileSync('sh', ['-c', 'cat > disk.raw'], { cwd: directory, input: files['/disk.raw'] });
  make('disk.qcow2', 'convert', '-O', 'qcow2', 'disk.raw');
  execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', '-u', '-b', '/etc/shadow', '-F', 'raw', join(directory, 'outside.qcow2'), '1M']);
  files['/outside.qcow2'] = readFileSync(join(directory, 'outside.qcow2'));
  execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', '-o', 'data_file=outside.raw', 'data.qcow2', '1M'], { cwd: directory });
  files['/data.qcow2'] = readFileSync(join(directory, 'data.qcow2'));
  execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', 'alone.qcow2', '1M'], { cwd: directory });
  files['/alone.qcow2'] = readFileSync(join(directory, 'alone.qcow2'));
  files['/page.html'] = Buffer.from('<!DOCTYPE html><title>Not found</title>'.padEnd(1024));
  rmSync(directory, { recursive: true });

  server = await startImageServer(files);
  elsewhere = await startImageServer((_request, response) => void response.writeHead(302, { location: 'http://169.254.169.254/latest/meta-data/' }).end());
  nova = await startEmbedded({ NOVACRON_IMPORT_ALLOW: '127.0.0.1/32' });
  people = await makePeople(nova.graph);
  alice = nova.graph.as(people.tenantAdmin);
  await nova.registerHost(nova.graph.as(people.platformAdmin));
  await eventually('the pool to be ready', async () => (await pools()).some((pool) => pool['state'] === 'READY'), { timeoutMs: 20_000 });
});
afterEach(() => server.misbehave());
afterAll(async () => {
  await nova?.close();
  await server?.stop();
  await elsewhere?.stop();
});

const pools = async (): Promise<Loose[]> =>
  (await alice.run('{ storagePools { edges { node { id name state allocated } } } }'))['storagePools'].edges.map((edge: Loose) => edge['node']);
const IMAGE = 'id name state problem format size fileSize sha256 url tenant { id } pools { name }';
const IMPORT = `mutation ($input: ImportImageInput!) { importImage(input: $input) { image { ${IMAGE} } operation { id kind } } }`;
const imageOf = async (id: string, graph = alice): Promise<Loose> => (await graph.run(`query ($id: ID!) { image(id: $id) { ${IMAGE} } }`, { id }))['image'];
const operationOf = async (id: string): Promise<Loose> =>
  (await alice.run('query ($id: ID!) { operation(id: $id) { state progress error { code field message retryable } steps { name state } } }', { id }))['operation'];
const ended = (id: string): Promise<Loose> =>
  eventually(`operation ${id} to end`, async () => {
    const operation = await operationOf(id);
    return ['SUCCEEDED', 'FAILED', 'CANCELLED'].includes(operation['state']) ? operation : null;
  }, { timeoutMs: 30_000 });
const start = async (input: object, graph = alice): Promise<{ image: Loose; operation: Loose }> => (await graph.run(IMPORT, { input }))['importImage'];

/** Nothing of an image is left: no file, no claim, no name. */
async function expectNothingLeft(id: string, name: string): Promise<void> {
  expect(await imageOf(id)).toMatchObject({ state: 'DELETED', pools: [] });
  expect(await nova.host.virsh('vol-list', '--pool', 'nc-local')).not.toContain(id);
  expect(await nova.sql('SELECT * FROM storage.image_copy WHERE image_id = $1', [id])).toEqual([]);
  const names = (await alice.run('query ($search: String) { images(filter: { search: $search }) { edges { node { name } } } }', { search: name }))['images'].edges;
  expect(names).toEqual([]);
}
const claimed = async (): Promise<number> => Number((await nova.sql<{ sum: string }>('SELECT sum(claimed) AS sum FROM storage.pool'))[0]?.sum);

describe('an import', () => {
  it.each([['disk.qcow2', 'qcow2'], ['disk.raw', 'raw']])('brings %s into the pool', async (file, format) => {
    const before = await claimed();
    const content = files[`/${file}`] ?? Buffer.alloc(0);
    const name = `good-${format}`;
    const { image, operation } = await start({ name, url: `${server.url}/${file}?signature=secret`, sha256: sha(content).toUpperCase() });
    expect([image['state'], operation['kind']]).toEqual(['IMPORTING', 'image.import']);
    expect(await ended(operation['id'])).toMatchObject({ state: 'SUCCEEDED', progress: 1, error: null });
    expect(await imageOf(image['id'])).toMatchObject({
      state: 'READY',
      problem: null,
      format,
      size: 2 * 2 ** 20,
      fileSize: content.length,
      sha256: sha(content),
      url: `${server.url}/${file}`,
      tenant: { id: people.acme },
      pools: [{ name: 'local' }],
    });
    expect(await claimed()).toBe(before + content.length);
    expect(await nova.host.virsh('vol-dumpxml', '--pool', 'nc-local', `${image['id']}.image`)).toContain(`<format type='${format}'/>`);
    const { deleteImage } = await alice.run('mutation ($id: ID!) { deleteImage(id: $id) { image { state } operation { id } } }', { id: image['id'] });
    expect(deleteImage.image.state).toBe('DELETING');
    expect(await ended(deleteImage.operation.id)).toMatchObject({ state: 'SUCCEEDED' });
    await expectNothingLeft(image['id'], name);
    expect(await claimed()).toBe(before);
  });

  it('goes on after the connection broke', async () => {
    server.misbehave({ cutAfterBytes: 900_000, times: 3 });
    const { image, operation } = await start({ name: 'broken', url: `${server.url}/disk.raw`, sha256: sha(files['/disk.raw'] ?? Buffer.alloc(0)) });
    expect(await ended(operation['id'])).toMatchObject({ state: 'SUCCEEDED' });
    // from where it was read to: what was still on its way is lost with the connection
    expect(server.requests.some(({ headers }) => /^bytes=[1-9]\d*-$/.test(headers.range ?? ''))).toBe(true);
    expect((await imageOf(image['id']))['state']).toBe('READY');
  });

  it('is cancelled in the middle, and nothing is left', async () => {
    const before = await claimed();
    server.misbehave({ stallAfterBytes: 1_000_000 });
    const { image, operation } = await start({ name: 'cancelled', url: `${server.url}/disk.raw` });
    await eventually('the fetch to be under way', async () => (await operationOf(operation['id']))['steps'].some((step: Loose) => step['name'] === 'storage.fetch-image' && step['state'] === 'RUNNING'));
    await alice.run('mutation ($id: ID!) { cancelOperation(id: $id) { id } }', { id: operation['id'] });
    expect(await ended(operation['id'])).toMatchObject({ state: 'CANCELLED' });
    await expectNothingLeft(image['id'], 'cancelled');
    expect(await claimed()).toBe(before);
  });

  it('is begun again by the next agent after a kill in the middle', async () => {
    server.misbehave({ stallAfterBytes: 1_000_000 });
    const { image, operation } = await start({ name: 'killed', url: `${server.url}/disk.raw` });
    await eventually('the fetch to be under way', async () => (await operationOf(operation['id']))['steps'].some((step: Loose) => step['name'] === 'storage.fetch-image' && step['state'] === 'RUNNING'));
    await nova.stop({ force: true });
    server.misbehave();
    await nova.start();
    expect(await ended(operation['id'])).toMatchObject({ state: 'SUCCEEDED' });
    expect((await imageOf(image['id']))['sha256']).toBe(sha(files['/disk.raw'] ?? Buffer.alloc(0)));
  });
});

describe('an import fails', () => {
  it.each<[string, () => object, object]>([
    ['of a file with another checksum', () => ({ url: `${server.url}/disk.raw`, sha256: '0'.repeat(64) }), { code: 'BAD_USER_INPUT', field: 'sha256' }],
    ['of a web page', () => ({ url: `${server.url}/page.html` }), { code: 'BAD_USER_INPUT', field: 'url', message: expect.stringContaining('text') }],
    ['of an image with a backing file outside', () => ({ url: `${server.url}/outside.qcow2` }), { code: 'BAD_USER_INPUT', field: 'url', message: expect.stringContaining('backing file') }],
    ['of an image with a data file outside', () => ({ url: `${server.url}/data.qcow2` }), { code: 'BAD_USER_INPUT', field: 'url', message: expect.stringContaining('outside') }],
    ['of another format than was asked for', () => ({ url: `${server.url}/disk.raw`, format: 'qcow2' }), { code: 'BAD_USER_INPUT', field: 'format' }],
    ['of a file that is not there', () => ({ url: `${server.url}/nothing` }), { code: 'BAD_USER_INPUT', field: 'url', message: expect.stringContaining('404') }],
    ['of a private address', () => ({ url: 'http://10.0.0.1/image' }), { code: 'BAD_USER_INPUT', field: 'url', message: expect.stringContaining('not public') }],
    ['of another loopback address than the one that is allowed', () => ({ url: server.url.replace('127.0.0.1', '127.0.0.2') }), { code: 'BAD_USER_INPUT', field: 'url' }],
    ['of a redirect to a private address', () => ({ url: elsewhere.url }), { code: 'BAD_USER_INPUT', field: 'url', message: expect.stringContaining('169.254.169.254') }],
  ])('%s', async (_what, input, error) => {
    const before = await claimed();
    const { image, operation } = await start({ name: 'bad', ...input() });
    expect(await ended(operation['id'])).toMatchObject({ state: 'FAILED', error });
    await expectNothingLeft(image['id'], 'bad');
    expect(await claimed()).toBe(before);
  });

  it.each([1_000, 10_000_000])('of a server that claims %i bytes', async (contentLength) => {
    server.misbehave({ contentLength });
    const { image, operation } = await start({ name: 'liar', url: `${server.url}/disk.raw` });
    expect(await ended(operation['id'])).toMatchObject({ state: 'FAILED', error: { code: 'BAD_USER_INPUT', field: 'url' } });
    await expectNothingLeft(image['id'], 'liar');
  });

  it('of a server that sends another file when it is asked again, one with a data file outside', async () => {
    const [good, bad] = ['/alone.qcow2', '/data.qcow2'].map((path) => files[path] ?? Buffer.alloc(0)) as [Buffer, Buffer];
    const length = Math.max(good.length, bad.length);
    const answers = [good, bad].map((file) => Buffer.concat([file, Buffer.alloc(length - file.length)]));
    let asked = 0;
    const fickle = await startImageServer((_request, response) => void response.writeHead(200, { 'content-length': length }).end(answers[Math.min(asked++, 1)]));
    const { image, operation } = await start({ name: 'fickle', url: `${fickle.url}/alone.qcow2` });
    expect(await ended(operation['id'])).toMatchObject({ state: 'FAILED', error: { code: 'BAD_USER_INPUT', field: 'url', message: expect.stringContaining('outside') } });
    await expectNothingLeft(image['id'], 'fickle');
    await fickle.stop();
  });

  it('where the pool has no room for it', async () => {
    await nova.sql('UPDATE storage.pool SET claimed = claimed + greatest(0, room - claimed - 1000)');
    const before = await claimed();
    const { image, operation } = await start({ name: 'large', url: `${server.url}/disk.raw` });
    expect(await ended(operation['id'])).toMatchObject({ state: 'FAILED', error: { code: 'NO_CAPACITY', field: 'poolId' } });
    await expectNothingLeft(image['id'], 'large');
    expect(await claimed()).toBe(before);
    await nova.sql('UPDATE storage.pool SET claimed = (SELECT coalesce(sum(claimed), 0) FROM storage.image_copy WHERE pool_id = pool.id)');
  });

  it('when the disk is full in the middle', async () => {
    await nova.host.exec('sh', '-c', 'mkdir -p /var/lib/libvirt/tiny && mount -t tmpfs -o size=1m tmpfs /var/lib/libvirt/tiny');
    const admin = nova.graph.as(people.platformAdmin);
    const { createStoragePool } = await admin.run('mutation ($input: CreateStoragePoolInput!) { createStoragePool(input: $input) { storagePool { id } operation { id } } }', {
      input: { name: 'tiny', path: '/var/lib/libvirt/tiny', hostIds: (await nova.sql<{ id: string }>('SELECT id FROM vms.host')).map(({ id }) => id) },
    });
    await eventually('the pool to be made', async () => (await pools()).some((pool) => pool['name'] === 'tiny' && pool['state'] === 'READY'));
    await nova.sql("UPDATE storage.pool SET room = 1000000000 WHERE name = 'tiny'"); // as if it had been promised before others filled it
    const { image, operation } = await start({ name: 'full', url: `${server.url}/disk.raw`, poolId: createStoragePool.storagePool.id });
    expect(await ended(operation['id'])).toMatchObject({ state: 'FAILED', error: { code: 'NO_CAPACITY', field: 'poolId' } });
    await expectNothingLeft(image['id'], 'full');
    expect(await nova.host.virsh('vol-list', '--pool', 'nc-tiny')).not.toContain('.image');
  });
});

describe('an import is refused', () => {
  it.each<[string, object, string, string]>([
    ['a bad name', { name: 'Big Image' }, 'BAD_USER_INPUT', 'name'],
    ['no URL', { url: 'disk.raw' }, 'BAD_USER_INPUT', 'url'],
    ['another scheme', { url: 'file:///etc/shadow' }, 'BAD_USER_INPUT', 'url'],
    ['a password', { url: 'http://me:secret@example.org/' }, 'BAD_USER_INPUT', 'url'],
    ['a bad checksum', { sha256: 'abc' }, 'BAD_USER_INPUT', 'sha256'],
    ['another format', { format: 'vmdk' }, 'BAD_USER_INPUT', 'format'],
    ['no pool', { poolId: '00000000-0000-4000-8000-000000000000' }, 'NOT_FOUND', 'poolId'],
    ['a foreign tenant', { tenantId: '00000000-0000-4000-8000-000000000000' }, 'NOT_FOUND', 'tenantId'],
    ['a public one by no administrator', { public: true }, 'FORBIDDEN', 'public'],
  ])('with %s', async (_what, input, code, field) => {
    const { errors } = await alice.ask(IMPORT, { input: { name: 'refused', url: `${server.url}/disk.raw`, ...input } });
    expect(errors.map(({ extensions }) => [extensions.code, extensions.field])).toEqual([[code, field]]);
    expect(await nova.sql("SELECT * FROM storage.image WHERE name = 'refused'")).toEqual([]);
  });

  it('under a name that is taken', async () => {
    const { operation } = await start({ name: 'once', url: `${server.url}/disk.raw` });
    const { errors } = await alice.ask(IMPORT, { input: { name: 'once', url: `${server.url}/disk.raw` } });
    expect(errors[0]?.extensions).toMatchObject({ code: 'ALREADY_EXISTS', field: 'name' });
    await ended(operation['id']);
  });

  it.each(['viewer', 'stranger'] as const)('by the %s, who also sees none of it', async (who) => {
    const graph = nova.graph.as(people[who]);
    const { errors } = await graph.ask(IMPORT, { input: { name: 'foreign', url: `${server.url}/disk.raw`, tenantId: people.acme } });
    expect(errors[0]?.extensions.code).toBe(who === 'viewer' ? 'FORBIDDEN' : 'NOT_FOUND');
    const [row] = await nova.sql<{ id: string }>("SELECT id FROM storage.image WHERE live_name = 'once'");
    expect((await imageOf(row?.id ?? '', graph)) === null).toBe(who === 'stranger');
    const deleting = await graph.ask('mutation ($id: ID!) { deleteImage(id: $id) { image { id } } }', { id: row?.id });
    expect(deleting.errors[0]?.extensions.code).toBe(who === 'viewer' ? 'FORBIDDEN' : 'NOT_FOUND');
  });
});

it('a public image is seen by everyone and deleted by administrators alone', async () => {
  const admin = nova.graph.as(people.platformAdmin);
  const { image, operation } = await start({ name: 'public', url: `${server.url}/disk.qcow2`, public: true }, admin);
  await eventually('it to be imported', async () => (await imageOf(image['id']))['state'] === 'READY');
  expect(operation['kind']).toBe('image.import');
  const seen = (await nova.graph.as(people.stranger).run('{ images { edges { node { name tenant { id } } } } }'))['images'].edges;
  expect(seen).toEqual([{ node: { name: 'public', tenant: null } }]);
  const { errors } = await alice.ask('mutation ($id: ID!) { deleteImage(id: $id) { image { id } } }', { id: image['id'] });
  expect(errors[0]?.extensions.code).toBe('FORBIDDEN');
  const again = await admin.ask(IMPORT, { input: { name: 'public', url: `${server.url}/disk.raw`, public: true } });
  expect(again.errors[0]?.extensions).toMatchObject({ code: 'ALREADY_EXISTS', field: 'name' });
});
