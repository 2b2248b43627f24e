import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { startImageServer, type ImageServer, type Trouble } from './image-server.ts';
import { testRun } from './run.ts';

const CONTENT = Buffer.from('0123456789'.repeat(30_000));

let server: ImageServer;

beforeAll(async () => {
  const file = join((await testRun()).makeDirectory('image-server'), 'disk');
  writeFileSync(file, CONTENT);
  server = await startImageServer({ '/disk': file, '/memory': CONTENT });
});
beforeEach(() => server.misbehave());
afterAll(() => server.stop());

const get = (path: string, headers: Record<string, string> = {}): Promise<Response> => fetch(`${server.url}${path}`, { headers, redirect: 'manual', signal: AbortSignal.timeout(5_000) });

/** What arrived, and whether that was the end of it; nothing new for half a second is taken for a stall. */
async function arrived(response: Response): Promise<{ bytes: number; how: 'whole' | 'cut' | 'stalled' }> {
  let bytes = 0;
  const reader = response.body?.getReader();
  try {
    for (;;) {
      const part = await Promise.race([reader?.read(), delay(500, 'stalled' as const)]);
      if (part === 'stalled') return { bytes, how: part };
      if (part === undefined || part.done) return { bytes, how: 'whole' };
      bytes += part.value.length;
    }
  } catch {
    return { bytes, how: 'cut' };
  } finally {
    await reader?.cancel().catch(() => undefined); // it was cut
  }
}

test.each(['/disk', '/memory'])('serves %s whole, and says what it is', async (path) => {
  const response = await get(path);
  expect(response.status).toBe(200);
  expect(response.headers.get('content-length')).toBe('300000');
  expect(response.headers.get('accept-ranges')).toBe('bytes');
  expect(Buffer.from(await response.arrayBuffer()).equals(CONTENT)).toBe(true);
  const again = await get(path);
  expect(again.headers.get('etag')).toBe(response.headers.get('etag'));
  await again.body?.cancel();
});

test.each([
  ['bytes=5-7', 206, '567', 'bytes 5-7/300000'],
  ['bytes=299998-', 206, '89', 'bytes 299998-299999/300000'],
  ['bytes=299998-400000', 206, '89', 'bytes 299998-299999/300000'],
  ['bytes=-3', 206, '789', 'bytes 299997-299999/300000'],
  ['bytes=300000-', 416, '', 'bytes */300000'],
  ['bytes=-0', 416, '', 'bytes */300000'],
])('answers Range: %s with %i', async (range, status, text, contentRange) => {
  for (const path of ['/disk', '/memory']) {
    const response = await get(path, { range });
    expect([response.status, await response.text(), response.headers.get('content-range')]).toEqual([status, text, contentRange]);
  }
});

test('a range of what has changed meanwhile is all of it', async () => {
  const etag = (await get('/disk', { range: 'bytes=0-0' })).headers.get('etag') ?? '';
  expect((await get('/disk', { range: 'bytes=5-7', 'if-range': etag })).status).toBe(206);
  expect((await get('/disk', { range: 'bytes=5-7', 'if-range': '"other"' })).status).toBe(200);
  server.misbehave({ changeEtag: true });
  const changed = [await get('/disk'), await get('/disk')].map((response) => response.headers.get('etag'));
  expect(new Set([...changed, etag]).size).toBe(3);
});

test.each<[string, Trouble, Awaited<ReturnType<typeof arrived>>]>([
  ['cut', { cutAfterBytes: 100_000 }, { bytes: 100_000, how: 'cut' }],
  ['cut at once', { cutAfterBytes: 0 }, { bytes: 0, how: 'cut' }],
  ['stalled at once', { stallAfterBytes: 0 }, { bytes: 0, how: 'stalled' }],
  ['stalled', { stallAfterBytes: 100_000 }, { bytes: 100_000, how: 'stalled' }],
  ['said to be longer', { contentLength: 400_000 }, { bytes: 300_000, how: 'cut' }],
  ['said to be shorter', { contentLength: 10 }, { bytes: 10, how: 'whole' }],
])('a file is %s', async (_name, trouble, expected) => {
  for (const path of ['/disk', '/memory']) {
    server.misbehave(trouble);
    expect(await arrived(await get(path))).toEqual(expected);
  }
});

test('trouble lasts for as many answers as told', async () => {
  server.misbehave({ status: 503, times: 2 });
  const statuses = [(await get('/disk')).status, (await get('/disk')).status, (await get('/disk', { range: 'bytes=0-0' })).status];
  expect(statuses).toEqual([503, 503, 206]);
  server.misbehave({ redirectTo: '/memory', times: 1 });
  const { status, headers } = await get('/disk');
  expect([status, headers.get('location')]).toEqual([302, '/memory']);
});

test('requests are kept with their headers', async () => {
  const before = server.requests.length;
  expect((await get('/nothing?much', { 'x-asked-by': 'me' })).status).toBe(404);
  expect((await fetch(`${server.url}/disk`, { method: 'HEAD' })).headers.get('content-length')).toBe('300000');
  expect(server.requests.slice(before)).toMatchObject([
    { method: 'GET', path: '/nothing', headers: { 'x-asked-by': 'me' } },
    { method: 'HEAD', path: '/disk' },
  ]);
});

test('a handler answers by itself, and a stopped server not at all', async () => {
  const own = await startImageServer((_request, response) => void response.writeHead(418).end());
  expect((await fetch(own.url)).status).toBe(418);
  expect(own.requests).toHaveLength(1);
  await own.stop();
  await own.stop(); // once more changes nothing
  await expect(fetch(own.url)).rejects.toThrow('fetch failed');
});
