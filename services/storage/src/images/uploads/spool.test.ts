import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, readdirSync, statfsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { UPLOADED_FILES_PATH } from '@novacron/contracts';
import { newId } from '@novacron/core';
import { testRun } from '@novacron/testkit';
import { routeUploadedFiles } from '@novacron/transport';
import fastify, { type FastifyInstance } from 'fastify';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Sink } from '../fetch/download.ts';
import type { UploadedFiles } from '../import-source.ts';
import { createSpool, hashOf, localUploads, remoteUploads, type Spool } from './spool.ts';

const FILE = randomBytes(1_000_000);
const SHA = createHash('sha256').update(FILE).digest('hex');
const running = new AbortController().signal;
let directory: string;
let spool: Spool;
let app: FastifyInstance;
let readers: Record<'here' | 'elsewhere', UploadedFiles>;

beforeAll(async () => {
  directory = join((await testRun()).makeDirectory('spool'), 'uploads');
  spool = createSpool(directory);
  app = fastify();
  routeUploadedFiles(app, (token) => spool.find(token));
  readers = { here: localUploads(spool), elsewhere: remoteUploads(`${await app.listen({ host: '127.0.0.1', port: 0 })}${UPLOADED_FILES_PATH}`) };
});
afterAll(() => app?.close());

const body = (...chunks: Buffer[]): Readable => Readable.from(chunks);
const failing = (): Readable =>
  Readable.from(
    (async function* cut() {
      yield FILE.subarray(0, 1000);
      throw Object.assign(new Error('aborted'), { code: 'ECONNRESET' });
    })(),
  );

describe('a spool', () => {
  it('takes nothing that would fill its file system, and not a byte of it', async () => {
    const waiting = Readable.from([FILE]);
    const { bavail, bsize } = statfsSync(join(directory, '..'));
    await expect(spool.receive(newId<string>(), 'too large', waiting, { size: bavail * bsize, sha256: SHA })).rejects.toMatchObject({ code: 'NO_CAPACITY', field: 'size' });
    expect(waiting.readableDidRead).toBe(false);
    expect(await spool.list()).toEqual([]);
  });

  it('keeps a file for whoever knows its token, and tells it to nobody else', async () => {
    const id = newId<string>();
    await spool.receive(id, 'a token', body(FILE.subarray(0, 10), FILE.subarray(10)), { size: FILE.length, sha256: SHA });
    expect(await spool.find('a token')).toMatchObject({ size: FILE.length });
    expect(await spool.find('another')).toBeNull();
    expect(await spool.find('')).toBeNull();
    expect(await spool.list()).toEqual([id]);
    expect(readdirSync(directory)).toEqual([`${id}.${hashOf('a token')}`]);
    expect([statSync(directory).mode & 0o777, statSync(join(directory, readdirSync(directory)[0] ?? '')).mode & 0o777]).toEqual([0o700, 0o600]);
    await spool.remove(id);
    expect(await spool.list()).toEqual([]);
  });

  it.each<[string, () => Readable, object, string]>([
    ['is larger than announced', () => body(FILE, Buffer.alloc(1)), {}, 'size'],
    ['is smaller than announced', () => body(FILE.subarray(1)), {}, 'size'],
    ['is another', () => body(FILE), { sha256: '0'.repeat(64) }, 'sha256'],
    ['breaks off', failing, {}, 'size'],
  ])('keeps nothing of a file that %s', async (_what, make, change, field) => {
    const receiving = spool.receive(newId<string>(), 'token', make(), { size: FILE.length, sha256: SHA, ...change });
    await expect(receiving).rejects.toMatchObject({ code: 'BAD_USER_INPUT', field });
    expect(readdirSync(directory)).toEqual([]);
  });

  it('lists what is an upload and nothing else', async () => {
    mkdirSync(join(directory, 'lost+found'), { recursive: true });
    expect(await spool.list()).toEqual([]);
  });
});

describe.each(['here', 'elsewhere'] as const)('an upload that lies with a storage role %s', (where) => {
  it('is read as often as it is asked for', async () => {
    const id = newId<string>();
    const token = `token-${where}`;
    await spool.receive(id, token, body(FILE), { size: FILE.length, sha256: SHA });
    const source = readers[where].open(token, running);
    expect(await source.head(100)).toEqual({ head: FILE.subarray(0, 100), size: FILE.length });
    for (let time = 0; time < 2; time += 1) {
      const chunks: Buffer[] = [];
      const seen: number[] = [];
      const sink: Sink = { begin: async (size) => void seen.push(size), write: async (chunk) => void chunks.push(chunk) };
      await source.copyTo(sink, (bytes) => seen.push(bytes));
      expect([createHash('sha256').update(Buffer.concat(chunks)).digest('hex'), seen.at(-1)]).toEqual([SHA, FILE.length]);
    }
    await spool.remove(id);
  });

  it('is missed when it is gone', async () => {
    await expect(readers[where].open('unknown', running).head(100)).rejects.toMatchObject({ code: where === 'here' ? 'NOT_FOUND' : 'BAD_USER_INPUT' });
  });
});
