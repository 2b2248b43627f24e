import { createHash, randomBytes } from 'node:crypto';
import { connect } from 'node:net';
import { Readable } from 'node:stream';
import type { ReceiveUpload, UploadReceipt } from '@novacron/contracts';
import { DomainError } from '@novacron/core';
import fastify, { type FastifyInstance } from 'fastify';
import { pino } from 'pino';
import { afterEach, expect, it } from 'vitest';
import { createHttpUploads, limitRequestTime, routeUploads } from '../src/index.ts';

const opened: FastifyInstance[] = [];
afterEach(() => Promise.all(opened.splice(0).map((app) => app.close())));

async function serve(receive: ReceiveUpload, requestMs?: number): Promise<string> {
  const app = fastify({ forceCloseConnections: true });
  opened.push(app);
  limitRequestTime(app, requestMs);
  routeUploads(app, receive, (error) => ({ message: error.message, extensions: error.toRecord() }));
  app.post('/graphql', async () => 'answer');
  return app.listen({ host: '127.0.0.1', port: 0 });
}

const RECEIPT = { imageId: 'image', operationId: 'operation' } as unknown as UploadReceipt; // ids are of no interest here
const logger = pino({ level: 'silent' });
const content = randomBytes(3_000_000);
const shaOf = (data: Buffer): string => createHash('sha256').update(data).digest('hex');
const read = async (body: Readable): Promise<Buffer> => Buffer.concat(await body.toArray());

it('passes an upload on, byte for byte, through another process', async () => {
  const seen: unknown[] = [];
  const behind = await serve(async (token, body, { length }) => {
    seen.push([token, shaOf(await read(body)), length]);
    return RECEIPT;
  });
  const uploads = createHttpUploads({ url: behind, logger });
  const front = await serve(uploads.receive);
  const answer = await fetch(`${front}/uploads/a-token`, { method: 'PUT', body: content, headers: { 'content-type': 'text/plain' } });
  expect([answer.status, await answer.json()]).toEqual([201, RECEIPT]);
  expect(seen).toEqual([['a-token', shaOf(content), content.length]]);
  await uploads.close();
});

it('passes a refusal on', async () => {
  const behind = await serve(async (_token, body) => {
    await read(body);
    throw new DomainError('BAD_USER_INPUT', 'It is another file.', { field: 'sha256' });
  });
  const uploads = createHttpUploads({ url: behind, logger });
  await expect(uploads.receive('t', Readable.from([content]), { length: content.length, requestId: 'r' })).rejects.toMatchObject({ code: 'BAD_USER_INPUT', field: 'sha256', message: 'It is another file.' });
  await uploads.close();
  const gone = createHttpUploads({ url: 'http://127.0.0.1:1', logger });
  await expect(gone.receive('t', Readable.from(['x']), { length: 1, requestId: 'r' })).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  await gone.close();
});

it('says nothing of what it did not foresee', async () => {
  const url = await serve(() => Promise.reject(new Error('the file /etc/x is not there')));
  const answer = await fetch(`${url}/uploads/t`, { method: 'PUT', body: 'x' });
  expect(answer.status).toBe(500);
  expect(await answer.text()).not.toContain('/etc/x');
});

it('waits for an upload, and for nothing else', async () => {
  const received = Promise.withResolvers<string>();
  const url = new URL(await serve(async (_token, body) => {
    received.resolve((await read(body)).toString());
    return RECEIPT;
  }, 100));
  const send = (head: string) => {
    const socket = connect(Number(url.port), '127.0.0.1');
    socket.on('error', () => {}).write(`${head} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n1`);
    return socket;
  };
  const upload = send('PUT /uploads/t');
  const other = send('POST /graphql').resume();
  await new Promise((closed) => other.once('close', closed));
  upload.write('2');
  expect(await received.promise).toBe('12');
  upload.destroy();
});
