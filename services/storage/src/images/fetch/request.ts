import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { DomainError } from '@novacron/core';
import { Agent, request, type Dispatcher } from 'undici';
import { requireAllowed, type AddressPolicy } from './addresses.ts';
import { followRedirect } from './image-url.ts';

export interface Address {
  address: string;
  family: number;
}

export interface RequestOptions {
  policy: AddressPolicy;
  signal: AbortSignal;
  /** Until a connection stands: 10 s unless given. */
  connectMs?: number;
  /** Without a byte: 30 s unless given. */
  stallMs?: number;
  /** Every address of a name; the system's resolver unless given. */
  resolve?(name: string): Promise<Address[]>;
}

export interface Answer {
  status: number;
  header(name: string): string | null;
  body: Dispatcher.ResponseData['body'];
  /** True when the server sent bytes after the end of what it had announced, as far as they have come. */
  hasSentMore(): Promise<boolean>;
  /** Ends the connection, whatever is still to come. */
  close(): Promise<void>;
}

const MOST_REDIRECTS = 5;
const REDIRECTS = new Set([301, 302, 303, 307, 308]);
/** Bytes of an answer's headers. */
const MOST_HEADERS = 16 * 1024;

const resolveName = (name: string): Promise<Address[]> => lookup(name, { all: true, order: 'verbatim' });

/**
 * GETs a URL and follows its redirects. Before each request every address of the host is checked, and the connection goes
 * to those addresses: a name that means something else a moment later changes nothing. No proxy is asked.
 */
export async function get(url: URL, headers: Record<string, string>, options: RequestOptions): Promise<Answer> {
  let at = url;
  for (let redirects = 0; redirects <= MOST_REDIRECTS; redirects += 1) {
    const answer = await getOnce(at, headers, options);
    if (!REDIRECTS.has(answer.status)) return answer;
    const location = answer.header('location');
    await answer.close();
    at = followRedirect(at, location ?? '');
  }
  throw new DomainError('BAD_USER_INPUT', `The server redirects more than ${MOST_REDIRECTS} times.`, { field: 'url' });
}

async function getOnce(url: URL, headers: Record<string, string>, options: RequestOptions): Promise<Answer> {
  const { policy, signal, connectMs = 10_000, stallMs = 30_000, resolve = resolveName } = options;
  const name = url.hostname.replace(/^\[(.*)\]$/, '$1');
  const family = isIP(name);
  const addresses = family === 0 ? await resolve(name) : [{ address: name, family }];
  signal.throwIfAborted();
  requireAllowed(policy, url.hostname, addresses.map(({ address }) => address));

  let wasBad = false;
  const agent = new Agent({
    allowH2: false,
    headersTimeout: stallMs,
    bodyTimeout: stallMs,
    maxHeaderSize: MOST_HEADERS,
    connect: { timeout: connectMs, lookup: (_name, _options, found) => found(null, addresses) },
  });
  agent.on('disconnect', (_origin, _targets, error) => {
    wasBad ||= error.message === 'bad response'; // undici, lib/dispatcher/client-h1.js: bytes that answer no request
  });
  try {
    const { statusCode, headers: received, body } = await request(url, { dispatcher: agent, headers, signal });
    body.on('error', () => {}); // told to whoever reads it; closed before, nobody does
    return {
      status: statusCode,
      header: (wanted) => [received[wanted]].flat()[0] ?? null,
      body,
      async hasSentMore() {
        for (let turn = 0; turn < 2; turn += 1) await new Promise((seen) => setImmediate(seen)); // what has come is read by then
        return wasBad;
      },
      close: () => agent.destroy(),
    };
  } catch (error) {
    await agent.destroy();
    throw error;
  }
}
