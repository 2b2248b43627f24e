import { createHash, randomBytes } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createTcpServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { addressPolicy } from './addresses.ts';
import { download, fetchHead, type DownloadOptions, type Sink } from './download.ts';
import { parseImageUrl } from './image-url.ts';

const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  await Promise.all(closers.splice(0).map((close) => close()));
});

type Handler = (request: IncomingMessage, response: ServerResponse, count: number) => void;

const listen = async (server: Server): Promise<number> => {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => {}).on('close', () => sockets.delete(socket));
  });
  await new Promise<void>((up) => server.listen(0, '127.0.0.1', up));
  closers.push(() => {
    sockets.forEach((socket) => socket.destroy());
    return new Promise((closed) => server.close(closed));
  });
  return (server.address() as AddressInfo).port;
};

/** A web server whose `handle` also learns how many requests came before. */
async function serve(handle: Handler) {
  const requests: IncomingMessage[] = [];
  const port = await listen(createServer((request, response) => handle(request, response, requests.push(request) - 1)));
  return { url: `http://127.0.0.1:${port}/image`, port, requests };
}

/** Answers each connection with these bytes, whatever it says; null hangs up. */
async function serveRaw(...parts: (string | null)[]): Promise<string> {
  const port = await listen(
    createTcpServer((socket) => {
      socket.once('data', () => parts.forEach((part) => (part === null ? socket.end() : socket.write(part))));
    }),
  );
  return `http://127.0.0.1:${port}/image`;
}

const local = addressPolicy(['127.0.0.0/8']);
const options = (more: Partial<DownloadOptions> = {}): DownloadOptions => ({ policy: local, signal: new AbortController().signal, retryMs: 1, stallMs: 30_000, ...more });

/** Keeps what came, and how often it began. */
function keep() {
  let chunks: Buffer[] = [];
  const begun: number[] = [];
  const sink: Sink = {
    async begin(size) {
      begun.push(size);
      chunks = [];
    },
    async write(chunk) {
      chunks.push(chunk);
    },
  };
  return { sink, begun, content: () => Buffer.concat(chunks) };
}

const FILE = randomBytes(300_000);
const ETAG = '"one"';
const sha = (data: Buffer): string => createHash('sha256').update(data).digest('hex');
const refusal = (message: RegExp) => expect.objectContaining({ code: 'BAD_USER_INPUT', field: 'url', message: expect.stringMatching(message) as string });
const unavailable = (message: RegExp) => expect.objectContaining({ name: 'DomainError', code: 'UNAVAILABLE', retryable: true, message: expect.stringMatching(message) as string });

/** Sends what a Range asks for, up to `end`, and then hangs up. */
function sendPart(request: IncomingMessage, response: ServerResponse, { end = FILE.length, etag = ETAG as string | null, file = FILE } = {}): void {
  const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
  const isRest = from > 0 && request.headers['if-range'] === etag;
  const start = isRest ? from : 0;
  response.writeHead(isRest ? 206 : 200, {
    ...(etag === null ? {} : { etag }),
    'content-length': file.length - start,
    ...(isRest ? { 'content-range': `bytes ${start}-${file.length - 1}/${file.length}` } : {}),
  });
  response.write(file.subarray(start, end), () => (end < file.length ? response.socket?.end() : response.end()));
}

describe('a download', () => {
  it('brings the file whole, as whom the URL names, asking for nothing but the file', async () => {
    const server = await serve((request, response) => sendPart(request, response));
    const { sink, begun, content } = keep();
    expect(await download(server.url, sink, options())).toEqual({ size: FILE.length });
    expect([sha(content()), begun]).toEqual([sha(FILE), [FILE.length]]);
    const { host, cookie, authorization } = server.requests[0]?.headers ?? {};
    expect({ host, cookie, authorization }).toEqual({ host: `127.0.0.1:${server.port}` });
  });

  it('goes on where a broken connection left it', async () => {
    const server = await serve((request, response, count) => sendPart(request, response, { end: [100_000, 200_000][count] ?? FILE.length }));
    const { sink, begun, content } = keep();
    await download(server.url, sink, options());
    expect(sha(content())).toBe(sha(FILE));
    expect(begun).toHaveLength(1);
    expect(server.requests.map(({ headers }) => headers['range'])).toEqual([undefined, 'bytes=100000-', 'bytes=200000-']);
  });

  it.each<[string, (count: number) => string | null]>([
    ['has no validator', () => null],
    ['has a weak validator', () => 'W/"one"'],
    ['has changed', (count) => `"${count}"`],
  ])('begins again when the file %s', async (_what, etag) => {
    const server = await serve((request, response, count) => sendPart(request, response, { end: count === 0 ? 100_000 : FILE.length, etag: etag(count) }));
    const { sink, begun, content } = keep();
    await download(server.url, sink, options());
    expect([sha(content()), begun.length]).toEqual([sha(FILE), 2]);
  });

  it('that stalls is taken up again', async () => {
    const server = await serve((request, response, count) => {
      if (count > 0) return sendPart(request, response);
      response.writeHead(200, { etag: ETAG, 'content-length': FILE.length });
      response.write(FILE.subarray(0, 1000));
    });
    const { sink, content } = keep();
    await download(server.url, sink, options({ stallMs: 300 }));
    expect(sha(content())).toBe(sha(FILE));
    expect(server.requests[1]?.headers['range']).toBe('bytes=1000-');
  });

  it('that stalls again and again is given up', async () => {
    const server = await serve((_request, response) => void response.writeHead(200, { 'content-length': 1000 }).write('x'));
    await expect(download(server.url, keep().sink, options({ stallMs: 200, tries: 3 }))).rejects.toThrow(unavailable(/stalls/));
    expect(server.requests).toHaveLength(3);
  });

  it('ends at once when it is told to', async () => {
    const server = await serve((_request, response) => void response.writeHead(200, { 'content-length': 1000 }).write('x'));
    const stop = new AbortController();
    const { sink } = keep();
    const stopping: Sink = { ...sink, write: async () => stop.abort(new Error('enough')) };
    await expect(download(server.url, stopping, options({ signal: stop.signal }))).rejects.toThrow('enough');
  });

  it('ends with what its sink throws, and tries nothing again', async () => {
    const server = await serve((request, response) => sendPart(request, response));
    const full: Sink = { begin: () => Promise.resolve(), write: () => Promise.reject(new Error('the pool is full')) };
    await expect(download(server.url, full, options())).rejects.toThrow('the pool is full');
    expect(server.requests).toHaveLength(1);
  });

  it('tries again what may pass', async () => {
    const server = await serve((request, response, count) => (count < 2 ? response.writeHead(503).end() : sendPart(request, response)));
    const { sink, content } = keep();
    await download(server.url, sink, options());
    expect(sha(content())).toBe(sha(FILE));
    const busy = await serve((_request, response) => void response.writeHead(500).end());
    await expect(download(busy.url, sink, options({ tries: 2 }))).rejects.toThrow(unavailable(/answered 500/));
  });

  it('of which nobody answers is given up', async () => {
    const server = createTcpServer();
    const port = await listen(server);
    await closers.pop()?.();
    await expect(download(`http://127.0.0.1:${port}/`, keep().sink, options({ tries: 2 }))).rejects.toThrow(unavailable(/can't be reached/));
  });

  it.each([400, 401, 403, 404, 410])('of what answers %i is refused at once', async (status) => {
    const server = await serve((_request, response) => void response.writeHead(status).end());
    await expect(download(server.url, keep().sink, options())).rejects.toThrow(refusal(new RegExp(String(status))));
    expect(server.requests).toHaveLength(1);
  });
});

describe('a server that lies about the length', () => {
  const head = (length: number, more = ''): string => `HTTP/1.1 200 OK\r\nContent-Length: ${length}\r\n${more}\r\n`;
  it.each<[string, (string | null)[], RegExp]>([
    ['sends fewer bytes', [`${head(500)}${'x'.repeat(400)}`, null], /said that the file has 500 bytes, and it has 400/],
    ['sends fewer bytes, with a validator', [`${head(500, 'ETag: "a"\r\n')}${'x'.repeat(400)}`, null], /500 bytes, and it has 400/],
    ['sends more bytes', [`${head(500)}${'x'.repeat(600)}`], /500 bytes, and it sends more/],
    ['says nothing', ['HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n'], /does not say how long/],
    ['says that there is nothing', [head(0)], /empty/],
    ['says more than an image may have', [head(2 ** 41)], /larger than an image may be/],
    ['sends it packed', [head(5, 'Content-Encoding: gzip\r\n')], /encoded/],
    ['speaks something else', ['220 mail.example ESMTP\r\n'], /does not speak HTTP/],
    ['sends endless headers', [`HTTP/1.1 200 OK\r\n${'x-a: b\r\n'.repeat(10_000)}`], /does not speak HTTP/],
  ])('%s', async (_what, parts, message) => {
    await expect(download(await serveRaw(...parts), keep().sink, options())).rejects.toThrow(refusal(message));
  });

  it('has another length when asked for the rest', async () => {
    const server = await serve((request, response, count) => {
      if (count === 0) return sendPart(request, response, { end: 100_000 });
      response.writeHead(count === 1 ? 206 : 416, { etag: ETAG, 'content-range': 'bytes 100000-100009/100010', 'content-length': 10 }).end('x'.repeat(10));
    });
    await expect(download(server.url, keep().sink, options())).rejects.toThrow(refusal(/300000 bytes, and it has 100010/));
  });

  it('has nothing after what it sent', async () => {
    const server = await serve((request, response, count) => {
      if (count === 0) return sendPart(request, response, { end: 100_000 });
      response.writeHead(416, { 'content-range': 'bytes */100000' }).end();
    });
    await expect(download(server.url, keep().sink, options())).rejects.toThrow(refusal(/300000 bytes, and it has 100000/));
  });
});

describe('an address that is not public', () => {
  const none = addressPolicy([]);
  it.each([
    'http://127.0.0.1/', 'http://127.1/', 'http://2130706433/', 'http://0x7f000001/', 'http://017700000001/', 'http://0/', 'http://[::1]/', 'http://[::ffff:127.0.0.1]/',
    'http://[::ffff:7f00:1]/', 'http://169.254.169.254/latest/meta-data/', 'http://[fd00:ec2::254]/', 'http://[64:ff9b::a9fe:a9fe]/', 'http://10.0.0.1:8080/', 'https://192.168.1.1/',
    'http://localhost/', 'http://localhost./',
  ])('is refused: %s', async (url) => {
    await expect(download(url, keep().sink, options({ policy: none }))).rejects.toThrow(refusal(/not public|has no address/));
  });

  it('is refused when it is one of several of a name', async () => {
    const resolve = async () => [{ address: '8.8.8.8', family: 4 }, { address: '10.0.0.1', family: 4 }];
    await expect(download('http://images.example/', keep().sink, options({ policy: none, resolve }))).rejects.toThrow(refusal(/not public/));
  });

  it('is refused after a redirect', async () => {
    const server = await serve((_request, response) => void response.writeHead(302, { location: 'http://169.254.169.254/latest/' }).end());
    await expect(download(server.url, keep().sink, options())).rejects.toThrow(refusal(/"169.254.169.254".*not public/));
  });

  it('is asked for once: the connection goes to the address that was checked', async () => {
    const server = await serve((request, response) => sendPart(request, response));
    const names: string[] = [];
    const resolve = async (name: string) => [{ address: names.push(name) === 1 ? '127.0.0.1' : '10.0.0.1', family: 4 }];
    await download(`http://images.example:${server.port}/`, keep().sink, options({ resolve }));
    expect([names, server.requests[0]?.headers.host]).toEqual([['images.example'], `images.example:${server.port}`]);
  });

  it('is refused when the name means it the next time', async () => {
    const server = await serve((request, response) => sendPart(request, response, { end: 1000 }));
    let times = 0;
    const resolve = async () => [{ address: (times += 1) === 1 ? '127.0.0.1' : '10.0.0.1', family: 4 }];
    await expect(download(`http://images.example:${server.port}/`, keep().sink, options({ resolve }))).rejects.toThrow(refusal(/not public/));
  });
});

describe('a redirect', () => {
  it('is followed five times, to paths and to other hosts', async () => {
    const server = await serve((request, response) => {
      const step = Number(request.url?.slice(2));
      if (step === 0) return sendPart(request, response);
      response.writeHead(307, { location: step % 2 === 0 ? `/?${step - 1}` : `http://127.0.0.1:${server.port}/?${step - 1}` }).end();
    });
    const { sink, content } = keep();
    await download(`http://127.0.0.1:${server.port}/?5`, sink, options());
    expect(sha(content())).toBe(sha(FILE));
    await expect(download(`http://127.0.0.1:${server.port}/?6`, sink, options())).rejects.toThrow(refusal(/more than 5 times/));
  });

  it.each([
    ['file:///etc/passwd', /http or https/],
    ['ftp://example.org/', /http or https/],
    ['http://user:secret@example.org/', /user name/],
    ['http://[', /no URL/],
  ])('to %s is refused', async (location, message) => {
    const server = await serve((_request, response) => void response.writeHead(301, { location }).end());
    await expect(download(server.url, keep().sink, options())).rejects.toThrow(refusal(message));
  });
});

it('reads the first bytes of a file and no more', async () => {
  const server = await serve((request, response) => sendPart(request, response));
  expect(await fetchHead(server.url, 1000, options())).toEqual({ head: FILE.subarray(0, 1000), size: FILE.length });
  const whole = await fetchHead(server.url, 2 ** 20, options());
  expect([whole.size, sha(whole.head)]).toEqual([FILE.length, sha(FILE)]);
});

it.each([
  ['', /no URL/],
  ['image.qcow2', /no URL/],
  ['file:///etc/passwd', /http or https/],
  ['gopher://example.org/', /http or https/],
  ['http://user@example.org/', /user name/],
  ['http://:secret@example.org/', /user name/],
  [`http://example.org/${'x'.repeat(2048)}`, /at most/],
])('refuses the URL %s', (url, message) => {
  expect(() => parseImageUrl(url)).toThrow(refusal(message));
});
