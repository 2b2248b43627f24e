import { setTimeout as delay } from 'node:timers/promises';
import { DomainError } from '@novacron/core';
import { BrokenOff, gaveUp, lastingFault, statusFault } from './faults.ts';
import { parseImageUrl } from './image-url.ts';
import { get, type Answer, type RequestOptions } from './request.ts';

export interface DownloadOptions extends RequestOptions {
  /** Of the file, in bytes: 1 TiB unless given. */
  mostBytes?: number;
  /** All tries together: 8 unless given. */
  tries?: number;
  /** Before the second try; twice as long before each further one, 10 s at most. 500 unless given. */
  retryMs?: number;
}

/** Takes a file as it comes. */
export interface Sink {
  /** From the first byte on; said again when all of it comes anew. */
  begin(size: number): Promise<void>;
  write(chunk: Buffer): Promise<void>;
}

export const MOST_IMAGE_BYTES = 2 ** 40;
const MOST_RETRY_MS = 10_000;

/** How far a download has come. */
interface Progress {
  /** What the server said; null before its first answer. */
  size: number | null;
  received: number;
  /** A strong ETag: what follows belongs to what was received. */
  validator: string | null;
  /** Where the server itself ended it, last time. */
  endedAt: number | null;
}

const refusal = (message: string): DomainError => new DomainError('BAD_USER_INPUT', message, { field: 'url' });
const lies = (said: number, has: number): DomainError => refusal(`The server said that the file has ${said} bytes, and it has ${has}.`);

/**
 * Fetches a file whole: goes on where a broken connection left it if the server can say that it is still the same file, and
 * begins again if not. Errors: BAD_USER_INPUT (url) for what will not get better; UNAVAILABLE for what may; the signal's reason;
 * what the sink throws.
 */
export async function download(url: string, sink: Sink, options: DownloadOptions): Promise<{ size: number }> {
  const parsed = parseImageUrl(url);
  const progress: Progress = { size: null, received: 0, validator: null, endedAt: null };
  await tryAgain(options, () => fetchOn(parsed, progress, sink, options));
  return { size: progress.received };
}

/** The first bytes of a file, and how many there are in all. Errors as of `download`. */
export async function fetchHead(url: string, bytes: number, options: DownloadOptions): Promise<{ head: Buffer; size: number }> {
  const enough = new Error('That is enough.');
  let chunks: Buffer[] = [];
  let received = 0;
  let size = 0;
  const sink: Sink = {
    async begin(whole) {
      [chunks, received, size] = [[], 0, whole];
    },
    async write(chunk) {
      chunks.push(chunk);
      received += chunk.length;
      if (received >= bytes) throw enough;
    },
  };
  await download(url, sink, options).catch((error: unknown) => {
    if (error !== enough) throw error;
  });
  return { head: Buffer.concat(chunks).subarray(0, bytes), size };
}

/** Errors of the sink go through: they are no faults of the server. */
class SinkFault extends Error {}

async function tryAgain<T>({ tries = 8, retryMs = 500, signal }: DownloadOptions, work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await work();
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof SinkFault) throw error.cause;
      const lasting = lastingFault(error);
      if (lasting) throw lasting;
      if (attempt >= tries) throw gaveUp(error);
    }
    await delay(Math.min(MOST_RETRY_MS, retryMs * 2 ** (attempt - 1)), undefined, { signal }).catch(() => signal.throwIfAborted());
  }
}

/** One connection's worth. */
async function fetchOn(url: URL, progress: Progress, sink: Sink, options: DownloadOptions): Promise<void> {
  const from = progress.validator === null ? 0 : progress.received;
  const resume = from > 0 && progress.validator !== null ? { range: `bytes=${from}-`, 'if-range': progress.validator } : {};
  const answer = await get(url, { 'accept-encoding': 'identity', ...resume }, options);
  try {
    if (answer.status === 206 && from > 0) requireRest(answer, progress, from);
    else await beginWith(answer, progress, sink, options);
    await readBody(answer, progress, sink);
    if (await answer.hasSentMore()) throw refusal(`The server said that the file has ${progress.size} bytes, and it sends more.`);
  } catch (error) {
    noteEnd(error, progress);
    throw error;
  } finally {
    await answer.close();
  }
}

/** The answer is what follows what we have. */
function requireRest(answer: Answer, progress: Progress, from: number): void {
  const [, start, total] = /^bytes (\d+)-\d+\/(\d+)$/.exec(answer.header('content-range') ?? '') ?? [];
  if (Number(total) !== progress.size) throw lies(progress.size ?? 0, Number(total));
  if (Number(start) !== from) throw refusal('The server sends another part of the file than it was asked for.');
}

async function beginWith(answer: Answer, progress: Progress, sink: Sink, options: DownloadOptions): Promise<void> {
  if (answer.status === 416) {
    const total = /^bytes \*\/(\d+)$/.exec(answer.header('content-range') ?? '')?.[1];
    if (total !== undefined && Number(total) !== progress.size) throw lies(progress.size ?? 0, Number(total));
    progress.validator = null; // what it says does not fit: from the beginning
    throw new Error('The server does not know where to go on.');
  }
  const etag = answer.header('etag');
  progress.size = sizeOf(answer, options);
  progress.received = 0;
  progress.validator = etag?.startsWith('"') ? etag : null;
  await taken(sink.begin(progress.size));
}

/** What the server says of its length; no more than may come. */
function sizeOf(answer: Answer, { mostBytes = MOST_IMAGE_BYTES }: DownloadOptions): number {
  if (answer.status !== 200) throw statusFault(answer.status);
  if (!/^(identity)?$/i.test(answer.header('content-encoding') ?? '')) throw refusal('The server sends the file encoded, though it was asked not to.');
  const length = answer.header('content-length');
  if (length === null || !/^\d{1,15}$/.test(length)) throw refusal('The server does not say how long the file is.');
  const size = Number(length);
  if (size === 0) throw refusal('The file is empty.');
  if (size > mostBytes) throw refusal(`The file is larger than an image may be: ${mostBytes} bytes.`);
  return size;
}

/** What a server must send at least, on average over each such time: one byte now and then would hold a host's step for years. */
export const LEAST_PACE = { bytes: 2 ** 20, withinMs: 60_000 } as const;

async function readBody(answer: Answer, progress: Progress, sink: Sink): Promise<void> {
  const size = progress.size ?? 0;
  const pace = { sinceMs: performance.now(), from: progress.received };
  try {
    for await (const chunk of answer.body as AsyncIterable<Buffer>) {
      if (progress.received + chunk.length > size) throw refusal(`The server said that the file has ${size} bytes, and it sends more.`);
      await taken(sink.write(chunk));
      progress.received += chunk.length;
      if (performance.now() - pace.sinceMs < LEAST_PACE.withinMs) continue;
      if (progress.received - pace.from < LEAST_PACE.bytes) throw refusal('The server sends the file too slowly.');
      [pace.sinceMs, pace.from] = [performance.now(), progress.received];
    }
  } catch (error) {
    throw error instanceof DomainError || error instanceof SinkFault ? error : new BrokenOff(progress.received, error);
  }
  // A part that is whole in itself, but shorter than the rest.
  if (progress.received < size) throw new BrokenOff(progress.received, Object.assign(new Error('The answer ended early.'), { code: 'ENDED' }));
}

/** The server hung up in good order. Source: undici, lib/core/errors.js */
const ENDED = /^(UND_ERR_SOCKET|ENDED|UND_ERR_RES_CONTENT_LENGTH_MISMATCH)$/;

/** A server that ends the file at the same byte twice has no more of it: its length was a lie. */
function noteEnd(error: unknown, progress: Progress): void {
  if (!(error instanceof BrokenOff) || !ENDED.test((error.cause as NodeJS.ErrnoException | undefined)?.code ?? '')) return;
  if (progress.endedAt === error.received) throw lies(progress.size ?? 0, error.received);
  progress.endedAt = error.received;
}

const taken = async (work: Promise<void>): Promise<void> => {
  try {
    await work;
  } catch (cause) {
    throw new SinkFault('The file could not be put away.', { cause });
  }
};
