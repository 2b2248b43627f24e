import { createHash, randomBytes } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { eventually } from '@novacron/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Graph, Loose } from '../kit/client.ts';
import { startEmbedded, type Embedded } from '../kit/embedded.ts';
import { makePeople, type People } from '../kit/people.ts';

/** Images that a client sends to a presigned URL of the gateway. */
let nova: Embedded;
let people: People;
let alice: Graph;
const FILE = randomBytes(2 * 2 ** 20);
const SHA = createHash('sha256').update(FILE).digest('hex');

beforeAll(async () => {
  nova = await startEmbedded();
  people = await makePeople(nova.graph);
  alice = nova.graph.as(people.tenantAdmin);
  await nova.registerHost(nova.graph.as(people.platformAdmin));
  await eventually('the pool to be ready', async () => (await nova.sql("SELECT id FROM storage.pool WHERE state = 'READY'")).length > 0, { timeoutMs: 20_000 });
});
afterAll(() => nova?.close());

const CREATE = 'mutation ($input: ImageUploadInput!) { createImageUpload(input: $input) { image { id state fileSize sha256 } url expiresAt } }';
let count = 0;
async function create(change: object = {}): Promise<{ image: Loose; url: string; expiresAt: string; name: string }> {
  const name = `upload-${(count += 1)}`;
  const { createImageUpload } = await alice.run(CREATE, { input: { name, format: 'raw', sha256: SHA, size: FILE.length, ...change } });
  return { ...createImageUpload, url: new URL(createImageUpload.url, nova.graph.url).href, name };
}
const put = async (url: string, body: Buffer | string = FILE): Promise<{ status: number; body: Loose }> => {
  const answer = await fetch(url, { method: 'PUT', body, headers: { 'content-type': 'text/plain' } });
  return { status: answer.status, body: (await answer.json()) as Loose };
};
const stateOf = async (id: string): Promise<Loose> => (await alice.run('query ($id: ID!) { image(id: $id) { state problem pools { name } } }', { id }))['image'];
const spooled = (): string[] => {
  try {
    return readdirSync(join(nova.environment.data, 'uploads'));
  } catch {
    return []; // made with the first upload
  }
};

async function expectNothingLeft({ image }: { image: Loose }): Promise<void> {
  expect(await stateOf(image['id'])).toMatchObject({ state: 'DELETED', pools: [] });
  expect(spooled().filter((name) => name.startsWith(image['id']))).toEqual([]);
  expect(await nova.host.virsh('vol-list', '--pool', 'nc-local')).not.toContain(image['id']);
}

describe('an upload', () => {
  it('goes into the pool, and nothing of it stays on the way', async () => {
    const upload = await create();
    expect(upload.image).toMatchObject({ state: 'AWAITING_UPLOAD', fileSize: FILE.length, sha256: SHA });
    expect(Math.abs(Date.parse(upload.expiresAt) - Date.now() - 3_600_000)).toBeLessThan(60_000);
    const { status, body } = await put(upload.url);
    expect([status, body]).toEqual([201, { imageId: upload.image['id'], operationId: expect.any(String) }]);
    await eventually('the image to be ready', async () => (await stateOf(upload.image['id']))['state'] === 'READY');
    const { operation } = await alice.run('query ($id: ID!) { operation(id: $id) { kind state requestedBy { id } } }', { id: body['operationId'] });
    expect(operation).toEqual({ kind: 'image.import', state: 'SUCCEEDED', requestedBy: { id: people.tenantAdmin.id } });
    await eventually('the file to be removed', () => spooled().length === 0, { timeoutMs: 20_000 });
    expect((await put(upload.url)).body['errors'][0].extensions.code).toBe('NOT_FOUND');
  });

  it('keeps of its token nothing but a hash', async () => {
    const { url, image } = await create();
    const token = url.split('/').at(-1) ?? '';
    expect(Buffer.from(token, 'base64url')).toHaveLength(32);
    const [row] = await nova.sql<{ row: string }>('SELECT row_to_json(image)::text AS row FROM storage.image WHERE id = $1', [image['id']]);
    expect(row?.row).not.toContain(token);
    expect(JSON.stringify(nova.log)).not.toContain(token);
  });

  it('that nobody sent can be deleted', async () => {
    const { url, image } = await create();
    const { deleteImage } = await alice.run('mutation ($id: ID!) { deleteImage(id: $id) { operation { id } } }', { id: image['id'] });
    await eventually('it to be gone', async () => (await stateOf(image['id']))['state'] === 'DELETED');
    expect(deleteImage.operation.id).toBeTruthy();
    expect((await put(url)).status).toBe(404);
  });
});

describe('an upload is refused', () => {
  it.each<[string, object, Buffer, string]>([
    ['that is larger than was announced', { size: 1_000 }, FILE, 'size'],
    ['that is smaller than was announced', {}, FILE.subarray(0, 1_000), 'size'],
    ['with another checksum', { sha256: '0'.repeat(64) }, FILE, 'sha256'],
  ])('%s', async (_what, change, body, field) => {
    const upload = await create(change);
    const answer = await put(upload.url, body);
    expect([answer.status, answer.body['errors'][0].extensions]).toMatchObject([400, { code: 'BAD_USER_INPUT', field }]);
    await expectNothingLeft(upload);
    expect((await put(upload.url)).status).toBe(404);
  });

  it('without a length, as soon as it is larger than was announced', async () => {
    const upload = await create({ size: 1_000 });
    const body = new ReadableStream({ pull: (controller) => controller.enqueue(new Uint8Array(65_536)) });
    await fetch(upload.url, { method: 'PUT', body, duplex: 'half' } as RequestInit).catch(() => undefined); // its connection is cut
    expect(await eventually('it to be refused', async () => (await stateOf(upload.image['id']))['state'] === 'DELETED')).toBe(true);
    await expectNothingLeft(upload);
  });

  it('that breaks off', async () => {
    const upload = await create();
    const { port, pathname } = new URL(upload.url);
    const socket = connect(Number(port), '127.0.0.1');
    socket.write(`PUT ${pathname} HTTP/1.1\r\nHost: x\r\nContent-Length: ${FILE.length}\r\n\r\n`);
    socket.write(FILE.subarray(0, 100_000), () => socket.destroy());
    expect(await eventually('it to be refused', async () => (await stateOf(upload.image['id']))['state'] === 'DELETED')).toBe(true);
    await expectNothingLeft(upload);
  });

  it('when its hour is over', async () => {
    const upload = await create();
    await nova.sql("UPDATE storage.image SET upload_until = now() - interval '1 second' WHERE id = $1", [upload.image['id']]);
    expect((await put(upload.url)).body['errors'][0].extensions.code).toBe('NOT_FOUND');
    await eventually('it to be removed', async () => (await stateOf(upload.image['id']))['state'] === 'DELETED', { timeoutMs: 20_000 });
  });

  it('to a URL that nobody was given', async () => {
    expect((await put(`${new URL(nova.graph.url).origin}/uploads/${'a'.repeat(43)}`)).status).toBe(404);
  });

  it('that is no image, by its operation', async () => {
    const page = Buffer.from('<!DOCTYPE html><title>no image</title>'.padEnd(1024));
    const upload = await create({ size: page.length, sha256: createHash('sha256').update(page).digest('hex') });
    const { body } = await put(upload.url, page);
    const operation = await eventually('it to fail', async () => {
      const { operation: found } = await alice.run('query ($id: ID!) { operation(id: $id) { state error { code } } }', { id: body['operationId'] });
      return found.state === 'FAILED' ? found : null;
    });
    expect(operation['error'].code).toBe('BAD_USER_INPUT');
    await eventually('the file to be removed', () => spooled().length === 0, { timeoutMs: 20_000 });
    await expectNothingLeft(upload);
  });

  it.each<[string, object, string, string | undefined]>([
    ['of no bytes', { size: 0 }, 'BAD_USER_INPUT', 'size'],
    ['of more than 1 TiB', { size: 2 ** 41 }, 'BAD_USER_INPUT', 'size'],
    ['with a bad checksum', { sha256: 'abc' }, 'BAD_USER_INPUT', 'sha256'],
    ['in another format', { format: 'vmdk' }, 'BAD_USER_INPUT', 'format'],
    ['in a foreign tenant', { tenantId: '00000000-0000-4000-8000-000000000000' }, 'NOT_FOUND', 'tenantId'],
  ])('%s, before there is a URL', async (_what, change, code, field) => {
    const { errors } = await alice.ask(CREATE, { input: { name: 'refused', format: 'raw', sha256: SHA, size: 1024, ...change } });
    expect(errors[0]?.extensions).toMatchObject({ code, field });
  });
});
