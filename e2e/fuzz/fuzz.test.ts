import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { ERROR_CODES } from '@novacron/core';
import { eventually } from '@novacron/testkit';
import fc from 'fast-check';
import { buildClientSchema, getIntrospectionQuery, type IntrospectionQuery } from 'graphql';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import type { Graph, GraphError } from '../kit/client.ts';
import { startEmbedded, type Embedded } from '../kit/embedded.ts';
import { makePeople } from '../kit/people.ts';
import { fuzzedOperations, mangledOperations, type FuzzedOperation } from './operations.ts';

/*
 * Rubbish of every kind for a bounded time: nothing crashes, hangs or answers 500, and no answer tells of the inside. The seed is the
 * same every day, so that a failure is a change's; NOVACRON_FUZZ_SEED tries another one, NOVACRON_FUZZ_SECONDS for longer.
 */
const SEED = Number(process.env['NOVACRON_FUZZ_SEED'] ?? 20_261_120);
const SECONDS = Number(process.env['NOVACRON_FUZZ_SECONDS'] ?? 8);
const bounded = { seed: SEED, numRuns: Number.MAX_SAFE_INTEGER, interruptAfterTimeLimit: SECONDS * 1_000, markInterruptAsFailure: false, endOnFailure: true };
const patience = (SECONDS + 40) * 1_000;

/** Root fields that would end the session that fuzzes. */
const LEFT_OUT = ['logout', 'revokeSession', 'login', 'refresh'];

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
const faults: unknown[] = [];
const remember = (error: unknown) => void faults.push(error);

beforeAll(async () => {
  system = await startEmbedded();
  const people = await makePeople(system.graph);
  admin = system.graph.as(people.platformAdmin);
  port = Number(new URL(admin.url).port);
  process.prependListener('uncaughtException', remember);
  process.prependListener('unhandledRejection', remember);
});
afterAll(async () => {
  process.removeListener('uncaughtException', remember);
  process.removeListener('unhandledRejection', remember);
  await system?.close();
});

const isWell = async (): Promise<void> => {
  expect(faults).toEqual([]);
  expect((await fetch(`${admin.url}/health`)).status).toBe(200);
  expect(await admin.run('{ __typename }')).toEqual({ __typename: 'Query' });
};

describe('operations over the whole schema', () => {
  /** What is wrong with the answer to an operation. */
  async function faultsOf({ query, variables }: FuzzedOperation, by: Graph): Promise<string[]> {
    const { status, errors } = await by.ask(query, variables);
    const about = `${query.slice(0, 2_000)} was answered ${status} ${JSON.stringify(errors).slice(0, 1_000)}`;
    const isOdd = ({ message, extensions }: GraphError): boolean => !CODES.has(extensions.code) || extensions.code === 'INTERNAL' || leak(message, query) !== null;
    return status >= 500 || errors.some(isOdd) ? [about] : [];
  }

  it('are answered or refused, and never with INTERNAL', { timeout: patience }, async () => {
    const schema = buildClientSchema(await admin.run<IntrospectionQuery>(getIntrospectionQuery()));
    const [tame, wild] = [fuzzedOperations(schema, { leaveOut: LEFT_OUT, manner: 'tame' }), fuzzedOperations(schema, { leaveOut: LEFT_OUT, manner: 'wild' })];
    const operations = fc.oneof({ weight: 3, arbitrary: tame }, { weight: 3, arbitrary: wild }, { weight: 1, arbitrary: mangledOperations(tame) });
    const someone = fc.boolean();
    await fc.assert(
      fc.asyncProperty(operations, someone, async (operation, isSomeone) => {
        expect(await faultsOf(operation, isSomeone ? admin : admin.as(null))).toEqual([]);
      }),
      bounded,
    );
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
    const messages = fc.array(
      fc.oneof(
        fc.constantFrom('{}', 'null', '[]', '{"type":"connection_init"}', '{"type":"connection_init","payload":[]}', '{"type":"subscribe"}', '{"id":"","type":"subscribe","payload":{}}', '{"id":"1","type":"subscribe","payload":{"query":"{"}}', '{"id":"1","type":"subscribe","payload":{"query":"subscription { vmChanged { cursor } }"}}', '{"id":"1","type":"complete"}', '{"type":"ping","payload":{"a":1}}', '{"type":"pong"}', '{"type":"__proto__"}'),
        fc.string({ maxLength: 100 }),
        fc.uint8Array({ maxLength: 500 }).map((bytes) => Buffer.from(bytes)),
      ),
      { minLength: 1, maxLength: 8 },
    );
    await fc.assert(
      fc.asyncProperty(messages, fc.constantFrom('/graphql', '/ws/events/v1'), async (sent, path) => {
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
