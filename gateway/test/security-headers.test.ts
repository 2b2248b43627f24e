import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { FastifyInstance, RouteOptions } from 'fastify';
import { Agent, fetch, type RequestInit } from 'undici';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PAGE_POLICY } from '../src/http/security-headers.ts';
import { makeCertificate, temporaryDirectory } from './certificates.ts';
import { startGateway, type Fixture } from './gateway-fixture.ts';
import { readAll, sendRaw, UPGRADE } from './raw-socket.ts';

const STRICT = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const HEADERS: Record<string, unknown> = {
  'content-security-policy': STRICT,
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'x-xss-protection': '0',
  'referrer-policy': 'no-referrer',
  'permissions-policy': expect.stringContaining('camera=()'),
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
};
const names = [...Object.keys(HEADERS), 'strict-transport-security'];

/** Every route that the gateway itself has made, as `GET /health`. */
const routes = new Set<string>();
const note = (message: unknown): void => {
  (message as { fastify: FastifyInstance }).fastify.addHook('onRoute', ({ method, url }: RouteOptions) => {
    for (const one of [method].flat()) routes.add(`${one} ${url.replace('*', 'playground.css').replaceAll(/:\w+/g, 'something')}`);
  });
};

let plain: Fixture;
let encrypted: Fixture;
let dispatcher: Agent;

beforeAll(async () => {
  const playgroundDir = temporaryDirectory();
  mkdirSync(join(playgroundDir, 'assets'));
  for (const name of ['index.html', 'playground.css', 'assets/worker.js']) writeFileSync(join(playgroundDir, name), '/* small */');
  const pair = await makeCertificate('gateway');
  dispatcher = new Agent({ connect: { ca: readFileSync(pair.cert) } });
  subscribe('fastify.initialization', note);
  const options = { playgroundDir, allowedOrigins: ['https://dashboard.example'], uploads: async () => ({ size: 0 }) as never };
  plain = await startGateway({ options });
  unsubscribe('fastify.initialization', note);
  encrypted = await startGateway({ options: { ...options, tls: pair } });
});
afterAll(async () => {
  await dispatcher.destroy();
  await Promise.all([plain.close(), encrypted.close()]);
});

/** The headers of an answer that are about security, and its status. */
async function ask(fixture: Fixture, path: string, init: RequestInit = {}): Promise<{ status: number; headers: Record<string, unknown> }> {
  const response = await fetch(`${fixture.gateway.url}${path}`, { dispatcher, redirect: 'manual', ...init });
  await response.arrayBuffer();
  return { status: response.status, headers: Object.fromEntries(names.flatMap((name) => (response.headers.has(name) ? [[name, response.headers.get(name)]] : []))) };
}

const expected = (isEncrypted: boolean): Record<string, unknown> => ({ ...HEADERS, ...(isEncrypted ? { 'strict-transport-security': 'max-age=31536000' } : {}) });

/** Pages and their files may do more than nothing, each by a policy of its own. */
const PAGES = /^\/$|^\/playground|^\/account|^\/api\/docs/;
const OF_PAGES = { 'content-security-policy': expect.stringMatching(/^default-src 'none'; (?!.*(https?:|\*|script-src[^;]* 'unsafe)).*frame-ancestors 'none'/) };

describe.each([
  ['plain HTTP', () => plain, false],
  ['TLS', () => encrypted, true],
] as const)('over %s every answer has its headers:', (_what, fixture, isEncrypted) => {
  it('of each route', async () => {
    expect(routes.size).toBeGreaterThan(10);
    for (const route of routes) {
      const [method = '', path = ''] = route.split(' ');
      const { headers } = await ask(fixture(), path, { method, ...(method === 'POST' || method === 'PUT' ? { body: '{}', headers: { 'content-type': 'application/json' } } : {}) });
      expect({ route, headers }).toEqual({ route, headers: { ...expected(isEncrypted), ...(PAGES.test(path) ? OF_PAGES : {}) } });
    }
  });

  it.each([
    ['a page by its type', '/graphql', { headers: { accept: 'text/html' } }, 200, { 'content-security-policy': PAGE_POLICY }],
    ['a file that is named by its content', '/playground/assets/worker.js', {}, 200, { 'content-security-policy': PAGE_POLICY }],
    ['a file that is not there', '/playground/assets/nothing.js', {}, 404, {}],
    ['an address that is none', '/nope', {}, 404, {}],
    ["an address that can't be decoded", '/%zz', {}, 400, {}],
    ['another method', '/health', { method: 'DELETE' }, 404, {}],
    ['a body that is no JSON', '/graphql', { method: 'POST', body: '{', headers: { 'content-type': 'application/json' } }, 400, {}],
    ['a body that is too large', '/graphql', { method: 'POST', body: 'x'.repeat(300_000), headers: { 'content-type': 'application/json' } }, 413, {}],
    ['what a browser asks before it asks', '/graphql', { method: 'OPTIONS', headers: { origin: 'https://dashboard.example', 'access-control-request-method': 'POST' } }, 204, {}],
  ])('of %s', async (_answer, path, init, status, own) => {
    expect(await ask(fixture(), path, init)).toEqual({ status, headers: { ...expected(isEncrypted), ...own } });
  });
});

describe('what is no request of the framework has them, too:', () => {
  it.each([
    ['a request without a host', 'GET / HTTP/1.1\r\n\r\n', 400],
    ['an expectation that nobody meets', 'GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\nExpect: miracles\r\n\r\n', 417],
    ['no HTTP', 'HELO gateway\r\n\r\n', 400],
    ['headers without end', `GET / HTTP/1.1\r\nHost: x\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`, 431],
    ['an upgrade elsewhere', `GET /nope HTTP/1.1\r\nHost: x\r\n${UPGRADE}\r\n`, 404],
    ['an upgrade of a stranger', `GET /graphql HTTP/1.1\r\nHost: x\r\nOrigin: https://evil.example\r\n${UPGRADE}\r\n`, 403],
    ['an upgrade that breaks off', 'GET /graphql HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 1\r\n\r\n', 400],
  ])('%s', async (_what, request, status) => {
    const answer = await readAll(await sendRaw(plain.gateway.port, request));
    const [head = ''] = answer.split('\r\n\r\n');
    expect(head).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
    const headers = Object.fromEntries(head.split('\r\n').slice(1).map((line) => line.split(': ')).map(([name = '', value]) => [name.toLowerCase(), value]));
    expect(headers).toMatchObject(HEADERS);
  });
});
