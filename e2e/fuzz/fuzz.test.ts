import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { ERROR_CODES } from '@novacron/core';
import { eventually, watchProcessFaults, type ProcessFaults } from '@novacron/testkit';
import fc from 'fast-check';
import { buildClientSchema, getIntrospectionQuery, OperationTypeNode, type GraphQLSchema, type IntrospectionQuery } from 'graphql';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import type { Graph, GraphError, Loose } from '../kit/client.ts';
import { startEmbedded, type Embedded } from '../kit/embedded.ts';
import { makePeople } from '../kit/people.ts';
import { vmInput } from '../kit/vm.ts';
import { KnownIds } from './known-ids.ts';
import { fuzzedOperations, mangledOperations, type FuzzedOperation } from './operations.ts';
import { fuzzedRequests } from './requests.ts';
import { odd } from './strings.ts';
import { Tally } from './tally.ts';

/*
 * Rubbish of every kind for a bounded time: nothing crashes, hangs or answers 500, and no answer tells of the inside. The seed is the
 * same every day, so that a failure is a change's; NOVACRON_FUZZ_SEED tries another one, NOVACRON_FUZZ_SECONDS for longer.
 */
const SEED = Number(process.env['NOVACRON_FUZZ_SEED'] ?? 20_261_120);
const SECONDS = Number(process.env['NOVACRON_FUZZ_SECONDS'] ?? 5);
const bounded = { seed: SEED, numRuns: Number.MAX_SAFE_INTEGER, interruptAfterTimeLimit: SECONDS * 1_000, markInterruptAsFailure: false, endOnFailure: true };
const patience = (SECONDS + 40) * 1_000;

/** Root fields that would end the session that fuzzes. */
const LEFT_OUT = ['logout', 'endSessions', 'revokeSession', 'login', 'refresh', 'refreshSession', 'authLogout', 'authLogin', 'authRefresh'];

/** What no client should ever read. */
const INTERNALS = /node_modules|\.ts:\d|prisma|postgres|ioredis|bullmq|undici|ECONN|at Object\.|\/src\/|\/tmp\/|\/var\/tmp|novacron_(vms|identity|storage)|SELECT |password"?:/i;
/** What an answer tells of the inside; null for what it only repeats of what it was sent. */
function leak(answer: string, sent: string): string | null {
  const found = INTERNALS.exec(answer)?.[0] ?? null;
  return found === null || sent.includes(found) ? null : found;
}

const CODES: ReadonlySet<string> = new Set([...ERROR_CODES, 'BAD_REQUEST', 'GRAPHQL_PARSE_FAILED', 'GRAPHQL_VALIDATION_FAILED', 'OPERATION_RESOLUTION_FAILURE', 'PERSISTED_QUERY_NOT_FOUND']);

let system: Embedded;
let admin: Graph;
let port: number;
let schema: GraphQLSchema;
let ids: KnownIds;
let faults: ProcessFaults;

beforeAll(async () => {
  system = await startEmbedded();
  const people = await makePeople(system.graph);
  admin = system.graph.as(people.platformAdmin);
  port = Number(new URL(admin.url).port);
  await system.registerHost(admin);
  for (const name of ['one', 'two', 'three']) await admin.run('mutation ($input: CreateVmInput!) { createVm(input: $input) { vm { id } } }', { input: { ...vmInput(system.guest, { name }), tenantId: people.acme } });
  schema = buildClientSchema(await admin.run<IntrospectionQuery>(getIntrospectionQuery()));
  ids = new KnownIds(schema);
  for (const [name, value] of Object.entries(vmInput(system.guest)['kernel'] as Record<string, string>)) ids.learn(name, value);
  faults = watchProcessFaults();
});
afterAll(async () => {
  faults?.stop();
  await system?.close();
});

const HELD = ['novacron_sockets_active', 'novacron_event_streams_active', 'novacron_subscriptions_active', 'novacron_graphql_operations_in_flight'];

/** Alive, and holding nothing of what has passed. */
const isWell = async (): Promise<void> => {
  expect(faults.seen).toEqual([]);
  expect((await fetch(`${admin.url}/health`)).status).toBe(200);
  expect(await admin.run('{ __typename }')).toEqual({ __typename: 'Query' });
  await eventually('the gateway to hold nothing', async () => {
    const lines = (await (await fetch(`${admin.url}/metrics`)).text()).split('\n').filter((line) => HELD.some((name) => line.startsWith(name)) && !line.endsWith(' 0'));
    expect(lines).toEqual([]);
    return true;
  });
};

/** Whether an error says what none may. */
const isTelling = (code: string, message: string, sent: string): boolean => !CODES.has(code) || code === 'INTERNAL' || leak(message, sent) !== null;

/** Something of what is there now, every now and then. */
async function lookNow(asked: number): Promise<void> {
  if (asked % 50 === 0) await ids.look(admin);
}

function operations(kinds: readonly OperationTypeNode[]): fc.Arbitrary<FuzzedOperation> {
  const [tame, wild] = (['tame', 'wild'] as const).map((manner) => fuzzedOperations({ schema, manner, ids }, kinds, LEFT_OUT));
  if (tame === undefined || wild === undefined) throw new Error('There are two manners.');
  return fc.oneof({ weight: 5, arbitrary: tame }, { weight: 3, arbitrary: wild }, { weight: 1, arbitrary: mangledOperations(tame) });
}
/** Somebody most of the time. */
const someone = fc.oneof({ weight: 9, arbitrary: fc.constant(true) }, { weight: 1, arbitrary: fc.constant(false) });

describe('operations over the whole schema', () => {
  it('are answered or refused, and never with INTERNAL', { timeout: patience }, async () => {
    const tally = new Tally();
    let asked = 0;
    const property = fc.asyncProperty(operations([OperationTypeNode.QUERY, OperationTypeNode.MUTATION]), someone, async ({ field, query: template, variables }, isSomeone) => {
      await lookNow(asked++);
      const query = ids.fill(template);
      const { status, data, errors } = await (isSomeone ? admin : admin.as(null)).ask(query, variables);
      const about = `${query.slice(0, 2_000)} was answered ${status} ${JSON.stringify(errors).slice(0, 1_000)}`;
      const isOdd = ({ message, extensions: { code } }: GraphError): boolean => isTelling(code, message, query);
      expect(status >= 500 || errors.some(isOdd) ? [about] : []).toEqual([]);
      if (isSomeone) tally.count(field, data !== null && Object.entries(data).some(([name, value]) => name !== '__typename' && value !== null));
    });
    await fc.assert(property, bounded).finally(() => process.stdout.write(`operations: ${tally}\n`));
    await isWell();
  });

  it('are told as server-sent events, too', { timeout: patience }, async () => {
    const tally = new Tally();
    let asked = 0;
    const kinds = fc.oneof(operations([OperationTypeNode.QUERY, OperationTypeNode.MUTATION]), operations([OperationTypeNode.SUBSCRIPTION]));
    const property = fc.asyncProperty(kinds, someone, async ({ field, query: template, variables }, isSomeone) => {
      await lookNow(asked++);
      const query = ids.fill(template);
      const body = JSON.stringify({ query, variables });
      const authorization = isSomeone ? `Authorization: Bearer ${admin.token}\r\n` : '';
      const head = `POST /graphql HTTP/1.1\r\nHost: gateway\r\n${authorization}Accept: text/event-stream\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n`;
      const text = await exchange(Buffer.from(head + body), 50);
      const messages = [...text.matchAll(/"message":"(?:[^"\\]|\\.)*"/g)].map(([message]) => message);
      const isOdd = /HTTP\/1\.1 5|"code":"INTERNAL"/.test(text) || messages.some((message) => leak(message, query) !== null);
      expect(isOdd ? [`${query.slice(0, 2_000)} was answered ${text.slice(-1_500)}`] : []).toEqual([]);
      if (isSomeone) tally.count(field, /"data":\{"/.test(text));
    });
    await fc.assert(property, bounded).finally(() => process.stdout.write(`event streams: ${tally}\n`));
    await isWell();
  });
});

describe('requests to every address of REST', () => {
  it('are answered or refused, and never with 500', { timeout: patience }, async () => {
    const description = (await (await fetch(`${admin.url}/api/v1/openapi.json`)).json()) as Loose;
    const requests = fc.oneof(...(['tame', 'wild'] as const).map((manner) => fuzzedRequests({ description, manner, ids }, LEFT_OUT)));
    const tally = new Tally();
    let asked = 0;
    const property = fc.asyncProperty(requests, someone, async (request, isSomeone) => {
      await lookNow(asked++);
      const [path, body] = [ids.fill(request.path), request.body === null ? null : ids.fill(request.body)];
      const response = await fetch(`${admin.url}${path}`, {
        method: request.method,
        headers: { ...(isSomeone ? { authorization: `Bearer ${admin.token}` } : {}), ...(body === null ? {} : { 'content-type': 'application/json' }) },
        body,
        signal: AbortSignal.timeout(20_000),
      });
      const text = await response.text();
      const isProblem = response.headers.get('content-type')?.startsWith('application/problem+json') === true;
      const { code = 'NOT_FOUND', detail = '' } = isProblem ? (JSON.parse(text) as { code?: string; detail?: string }) : {};
      const isOdd = (response.status >= 500 && response.status !== 503) || isTelling(code, detail, `${decodeURIComponent(path)} ${body}`);
      expect(isOdd ? [`${request.method} ${path} ${body?.slice(0, 1_000)} was answered ${response.status} ${text.slice(0, 1_000)}`] : []).toEqual([]);
      if (isSomeone) tally.count(request.field, response.status < 300);
    });
    await fc.assert(property, bounded).finally(() => process.stdout.write(`requests: ${tally}\n`));
    await isWell();
  });
});

/** Sends bytes as they stand; all that comes back until the other side closes, or has said nothing for a moment. */
async function exchange(bytes: Buffer, quietMs = 150): Promise<string> {
  const socket: Socket = connect(port, '127.0.0.1');
  socket.on('error', () => {}); // to be reset is an answer, too
  let text = '';
  let heardAt = performance.now();
  socket.on('data', (data) => {
    text += data.toString('latin1');
    heardAt = performance.now();
  });
  await once(socket, 'connect');
  socket.write(bytes);
  await eventually('the other side to have said what it has to say', () => socket.closed || performance.now() - heardAt > quietMs);
  socket.destroy();
  return text;
}

const fuzzedBytes = fc.oneof(
  fc.uint8Array({ maxLength: 2_000 }).map((bytes) => Buffer.from(bytes)),
  fc
    .record({
      method: fc.constantFrom('GET', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH', 'TRACE', 'CONNECT', 'get', 'M-SEARCH', '\u0000'),
      target: fc.oneof(fc.constantFrom('/', '/graphql', '/graphql?query={__typename}', '/graphql?query=%', '//', '*', '/..%2f..%2fetc/passwd', '/playground/../../package.json', '/uploads/a/b', '/api/v1/vms?first=x', '/metrics', '/%00', `/${'a'.repeat(9_000)}`), fc.webPath()),
      version: fc.constantFrom('HTTP/1.1', 'HTTP/1.0', 'HTTP/2.0', 'HTTP/9.9', ''),
      headers: fc.array(fc.constantFrom('Host: x', 'Content-Length: 5', 'Content-Length: -1', 'Content-Length: 99999999999', 'Transfer-Encoding: chunked', 'Content-Type: application/json', 'Content-Type: ;;;', 'Accept: */*;q=x', 'Authorization: Bearer x', 'Authorization: \u0000', 'Origin: null', 'X-Request-Id: a\r\nb', 'Expect: 100-continue', 'Upgrade: websocket', 'Connection: Upgrade', 'Cookie: a=b'), { maxLength: 6 }),
      body: fc.oneof(fc.constantFrom('', '{}', '[]', 'null', '[{"query":"{__typename}"}]', '{"query":"{__typename}"}', '{"query":1}', '{"__proto__":{}}', '5\r\n{"a":\r\n0\r\n\r\n'), fc.string({ maxLength: 200 })),
    })
    .map(({ method, target, version, headers, body }) => Buffer.from(`${method} ${target} ${version}\r\n${headers.map((header) => `${header}\r\n`).join('')}\r\n${body}`, 'latin1')),
);

describe('bytes', () => {
  it('sent as HTTP are never answered with 500', { timeout: patience }, async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fuzzedBytes, { minLength: 4, maxLength: 4 }), async (several) => {
        const answers = await Promise.all(several.map(async (bytes) => ({ sent: bytes.toString('latin1'), answer: await exchange(bytes) })));
        for (const { sent, answer } of answers) {
          expect(answer).not.toMatch(/HTTP\/1\.1 5(?!03|05)\d\d/); // 503 and 505 are what they say
          expect(leak(answer.replace(/^[^{]*/, ''), sent)).toBeNull();
        }
      }),
      bounded,
    );
    await isWell();
  });

  it('sent over a WebSocket are answered in its protocol, or it is closed', { timeout: patience }, async () => {
    const choice = (one: fc.Arbitrary<string>) => fc.option(fc.array(one, { maxLength: 3 }));
    const messages = fc.array(
      fc.oneof(
        fc.constantFrom('{}', 'null', '[]', '{"type":"connection_init"}', '{"type":"connection_init","payload":[]}', '{"type":"subscribe"}', '{"id":"","type":"subscribe","payload":{}}', '{"id":"1","type":"subscribe","payload":{"query":"{"}}', '{"id":"1","type":"subscribe","payload":{"query":"subscription { vmChanged { cursor } }"}}', '{"id":"1","type":"complete"}', '{"type":"ping","payload":{"a":1}}', '{"type":"pong"}', '{"type":"__proto__"}'),
        fc.constant(() => JSON.stringify({ type: 'connection_init', payload: { authorization: `Bearer ${admin.token}` } })),
        fc.record({ events: choice(fc.constantFrom('vm.changed', 'operation.changed', 'migration.changed', 'metrics', 'nope')), ids: choice(odd), after: fc.option(fc.oneof(odd, fc.constantFrom('ZTA', 'ZTE', 'ZTk5OTk5'))) }).map((chosen) => () => JSON.stringify({ type: 'auth', token: admin.token, ...chosen })),
        fc.record({ events: choice(odd), ids: choice(odd), after: fc.option(odd) }).map((chosen) => JSON.stringify({ type: 'subscribe', ...chosen })),
        operations([OperationTypeNode.SUBSCRIPTION, OperationTypeNode.QUERY]).map(({ query }) => () => JSON.stringify({ id: query.slice(-3), type: 'subscribe', payload: { query: ids.fill(query) } })),
        fc.string({ maxLength: 100 }),
        fc.uint8Array({ maxLength: 500 }).map((bytes) => Buffer.from(bytes)),
      ),
      { minLength: 1, maxLength: 8 },
    );
    await fc.assert(
      fc.asyncProperty(messages, fc.constantFrom('/graphql', '/ws/events/v1'), async (made, path) => {
        const sent = made.map((message) => (typeof message === 'function' ? message() : message)); // with what is known by now
        const socket = new WebSocket(`ws://127.0.0.1:${port}${path}`, path === '/graphql' ? 'graphql-transport-ws' : []);
        const received: string[] = [];
        socket.on('message', (data) => received.push(String(data)));
        socket.on('error', () => {}); // 'close' follows
        const heard = (event: string) => new Promise((resolve) => void socket.once(event, resolve));
        const closed = heard('close');
        await Promise.race([heard('open'), closed]);
        for (const message of sent) if (socket.readyState === socket.OPEN) socket.send(message);
        if (socket.readyState === socket.OPEN) socket.ping();
        await Promise.race([heard('pong'), closed]);
        socket.terminate();
        expect(leak(received.join('\n'), sent.map(String).join('\n'))).toBeNull();
        expect(received.join('\n')).not.toContain('INTERNAL');
      }),
      bounded,
    );
    await isWell();
  });
});
