import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createReadStream, statSync } from 'node:fs';
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';

/** What goes wrong with the answers; several may be combined. */
export interface Trouble {
  /** Answers with this status and no file. */
  status?: number;
  /** Sends the client elsewhere (302): a whole URL, or a path on this server. */
  redirectTo?: string;
  /** Closes the connection after so many bytes of the body. */
  cutAfterBytes?: number;
  /** Sends nothing more after so many bytes of the body, and leaves the connection open. */
  stallAfterBytes?: number;
  /** Claims this Content-Length, sends the true body, and closes the connection. */
  contentLength?: number;
  /** No two answers have the same ETag, as if the file changed all the time. */
  changeEtag?: boolean;
  /** So many answers are in trouble, then all is well again. All of them, unless told. */
  times?: number;
}

export interface ServedRequest {
  method: string;
  path: string;
  headers: IncomingHttpHeaders;
}

export interface ImageServer {
  /** http://127.0.0.1:PORT, without a slash at the end. */
  url: string;
  /** Every request so far, in order. */
  requests: readonly ServedRequest[];
  /** From the next request on; without trouble, all is well again. */
  misbehave(trouble?: Trouble): void;
  /** Cuts every connection. Idempotent. */
  stop(): Promise<void>;
}

/** A file's path, or its content. */
export type ServedFile = string | Buffer;

/**
 * An HTTP server for disk images on 127.0.0.1. It serves files by their path ({ '/debian.qcow2': file }) with
 * ranges and ETags, or asks the handler, which then behaves and misbehaves by itself.
 */
export async function startImageServer(served: Readonly<Record<string, ServedFile>> | RequestListener): Promise<ImageServer> {
  const requests: ServedRequest[] = [];
  let trouble: Trouble = {};
  const nextTrouble = (): Trouble => {
    const { times = Infinity, ...now } = trouble;
    trouble = times > 1 ? { ...now, times: times - 1 } : {};
    return now;
  };
  const server = createServer((request, response) => {
    const path = new URL(request.url ?? '/', 'http://server').pathname;
    requests.push({ method: request.method ?? 'GET', path, headers: request.headers });
    if (typeof served === 'function') served(request, response);
    else answer(request, response, Object.hasOwn(served, path) ? served[path] : undefined, nextTrouble(), requests.length);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, // a listening TCP server has one
    requests,
    misbehave: (next = {}) => void (trouble = next),
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve()); // also when it is closed
        server.closeAllConnections();
      }),
  };
}

function answer(request: IncomingMessage, response: ServerResponse, file: ServedFile | undefined, trouble: Trouble, count: number): void {
  if (trouble.redirectTo !== undefined) return void response.writeHead(302, { location: trouble.redirectTo }).end();
  if (trouble.status !== undefined) return void response.writeHead(trouble.status).end();
  if (file === undefined) return void response.writeHead(404).end();
  const { size, version } = typeof file === 'string' ? describeFile(file) : { size: file.length, version: file };
  const etag = `"${createHash('sha256').update(version).update(trouble.changeEtag ? String(count) : '').digest('hex').slice(0, 16)}"`;
  const range = requestedRange(request, etag, size);
  if (range === 'unsatisfiable') return void response.writeHead(416, { 'content-range': `bytes */${size}` }).end();
  const { start, end } = range ?? { start: 0, end: size };
  response.writeHead(range ? 206 : 200, {
    'accept-ranges': 'bytes',
    'content-length': trouble.contentLength ?? end - start,
    'content-type': 'application/octet-stream',
    etag,
    ...(range && { 'content-range': `bytes ${start}-${end - 1}/${size}` }),
    ...(trouble.contentLength !== undefined && { connection: 'close' }),
  });
  if (request.method === 'HEAD') return void response.end();
  response.flushHeaders(); // they come before a stall, too
  const limit = Math.min(trouble.cutAfterBytes ?? Infinity, trouble.stallAfterBytes ?? Infinity);
  const body = read(file, start, Math.min(end, start + limit));
  body.pipe(response, { end: false });
  body.on('error', (cause) => response.destroy(cause));
  body.once('end', () => {
    if (trouble.stallAfterBytes === limit) return; // until the client goes, or the server
    if (limit === Infinity && trouble.contentLength === undefined) response.end();
    else response.write('', () => response.socket?.end()); // once all before it is on its way
  });
  response.once('close', () => body.destroy());
}

function describeFile(path: string): { size: number; version: string } {
  const { size, mtimeMs, ino } = statSync(path);
  return { size, version: `${size} ${mtimeMs} ${ino}` };
}

const read = (file: ServedFile, start: number, end: number): Readable => {
  if (end <= start) return Readable.from([]);
  return typeof file === 'string' ? createReadStream(file, { start, end: end - 1 }) : Readable.from([file.subarray(start, end)]);
};

/** One range, `end` not in it; undefined for all. Source: RFC 9110, sections 13.1.5 (If-Range) and 14.1. */
function requestedRange({ headers }: IncomingMessage, etag: string, size: number): { start: number; end: number } | 'unsatisfiable' | undefined {
  const asked = /^bytes=(\d*)-(\d*)$/.exec(headers.range ?? '');
  const condition = headers['if-range'];
  if (!asked || asked[0] === 'bytes=-' || (condition !== undefined && condition !== etag)) return undefined;
  const [, first = '', last = ''] = asked;
  const start = first === '' ? Math.max(size - Number(last), 0) : Number(first);
  const end = first === '' || last === '' ? size : Math.min(Number(last) + 1, size);
  return start < end ? { start, end } : 'unsatisfiable';
}
