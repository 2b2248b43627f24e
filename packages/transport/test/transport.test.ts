import { createHash, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { mkdtemp, readFile, stat } from 'node:fs/promises';
import { once } from 'node:events';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DomainError, newId, type SessionId, type TenantId, type UserId } from '@novacron/core';
import type { Authenticator, RequestContext, Subgraph, Viewer } from '@novacron/contracts';
import { createBuilder, toSubgraphSchema } from '@novacron/graphql';
import { SignJWT } from 'jose';
import { pino } from 'pino';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  authenticatorRoutes,
  createHttpAuthenticator,
  createHttpDataSource,
  createInProcessDataSource,
  createRequestSigner,
  fieldAtFault,
  loadInternalPublicKey,
  loadOrCreateInternalKeys,
  serveSubgraphs,
  type DataSource,
  type SubgraphServer,
} from '../src/index.ts';

const lines: Record<string, unknown>[] = [];
const logger = pino({ level: 'info' }, { write: (line: string) => void lines.push(JSON.parse(line)) });

const viewer: Viewer = {
  userId: newId<UserId>(),
  sessionId: newId<SessionId>(),
  roles: [{ role: 'operator', tenantId: newId<TenantId>() }],
};
const context: RequestContext = { viewer, requestId: 'request-1', address: '192.0.2.7', userAgent: 'test/1' };

function echoSubgraph(): Subgraph {
  const builder = createBuilder<RequestContext>();
  builder.queryType({
    description: 'What can be asked.',
    fields: (t) => ({
      context: t.field({ type: 'JSON', description: 'Who asks.', resolve: (_root, _args, given) => ({ ...given }) }),
      fail: t.string({
        nullable: true,
        description: 'Fails as it is told.',
        args: { how: t.arg.string({ required: true, description: 'How.' }), size: t.arg({ type: 'ByteSize', description: 'Not looked at.' }) },
        resolve: (_root, { how }) => {
          if (how === 'domain') throw new DomainError('NO_CAPACITY', 'Short by 512 MiB.', { field: 'memory', retryable: true, cause: new Error('secret') });
          if (how === 'internal') throw new DomainError('INTERNAL', 'secret table vms is broken', { cause: new Error('secret cause') });
          throw new Error('secret text');
        },
      }),
    }),
  });
  return { name: 'echo', schema: toSubgraphSchema(builder), createContext: (request) => request };
}

const authenticator: Authenticator = {
  async authenticate(accessToken, address) {
    if (accessToken !== 'good' || address !== '192.0.2.1') throw new DomainError('UNAUTHENTICATED', 'This access token is not valid.');
    return { viewer, issuedAt: new Date('2029-12-31T23:50:00Z'), expiresAt: new Date('2030-01-01T00:00:00Z') };
  },
  jwks: async () => ({ keys: [{ kid: 'one' }] }),
};

let privateKey: KeyObject;
let server: SubgraphServer;
const sources: Record<string, DataSource> = {};

beforeAll(async () => {
  const keys = await loadOrCreateInternalKeys(await mkdtemp(join(tmpdir(), 'novacron-keys-')));
  privateKey = keys.privateKey;
  const subgraph = echoSubgraph();
  server = await serveSubgraphs({ subgraphs: [subgraph], extraRoutes: authenticatorRoutes(authenticator), host: '127.0.0.1', port: 0, internalPublicKey: keys.publicKey, logger });
  sources['in process'] = createInProcessDataSource(subgraph, logger);
  sources['over HTTP'] = createHttpDataSource({ name: 'echo', url: server.url, signRequest: createRequestSigner(privateKey) });
});
afterAll(async () => {
  await Promise.all(Object.values(sources).map((source) => source.close()));
  await server.close();
});
beforeEach(() => {
  lines.length = 0;
});

describe.each(['in process', 'over HTTP'])('a subgraph %s', (transport) => {
  const ask = async (query: string, variables: Record<string, unknown> = {}) => sources[transport]?.process({ query, variables, context });

  it('knows on whose behalf it answers', async () => {
    expect(await ask('{ context }')).toEqual({ data: { context } });
    expect(await sources[transport]?.process({ query: '{ context }', context: { ...context, viewer: null } })).toEqual({
      data: { context: { ...context, viewer: null } },
    });
  });

  it('takes a viewer with a thousand roles', async () => {
    const roles = Array.from({ length: 1_000 }, () => ({ role: 'viewer' as const, tenantId: newId<TenantId>() }));
    const many = { ...context, viewer: { ...viewer, roles } };
    expect(await sources[transport]?.process({ query: '{ context }', context: many })).toEqual({ data: { context: many } });
  });

  it.each<Partial<Viewer>>([{ scopes: ['vm:read', 'vm:start'] }, { scopes: [] }, { roles: [], owes: 'second_factor' }, { roles: [], scopes: ['vm:read'], owes: 'new_password' }])(
    'leaves a viewer within its bounds: %j',
    async (bounds) => {
      const bound = { ...context, viewer: { ...viewer, ...bounds } };
      expect(await sources[transport]?.process({ query: '{ context }', context: bound })).toEqual({ data: { context: bound } });
    },
  );

  it('keeps code, field and retryable of a domain error', async () => {
    expect(await ask('{ fail(how: "domain") }')).toEqual({
      data: { fail: null },
      errors: [{ message: 'Short by 512 MiB.', path: ['fail'], extensions: { code: 'NO_CAPACITY', field: 'memory', retryable: true } }],
    });
    expect(lines).toEqual([]);
  });

  it.each([
    ['code', 'secret text'],
    ['internal', 'secret cause'],
  ])('masks what nobody foresaw (%s), and logs its cause once', async (how, logged) => {
    expect(await ask('query ($how: String!) { fail(how: $how) }', { how })).toEqual({
      data: { fail: null },
      errors: [{ message: 'Something went wrong inside NovaCron.', path: ['fail'], extensions: { code: 'INTERNAL', retryable: false } }],
    });
    expect(lines).toMatchObject([{ requestId: 'request-1', subgraph: 'echo', err: { message: logged } }]);
  });

  it.each([
    ['{ nothing }', {}, 'GRAPHQL_VALIDATION_FAILED'],
    ['{', {}, 'GRAPHQL_VALIDATION_FAILED'],
    ['{ fail(how: "x", size: "many") }', {}, 'BAD_USER_INPUT'],
    ['query ($size: ByteSize) { fail(how: "x", size: $size) }', { size: 'many' }, 'BAD_USER_INPUT'],
    ['query ($how: String!) { fail(how: $how) }', {}, 'BAD_USER_INPUT'],
  ])('gives %s with %j its standard code', async (query, variables, code) => {
    const answer = await ask(query, variables);
    expect(answer?.errors?.map((error) => error.extensions?.['code'])).toEqual([code]);
    expect(lines).toEqual([]);
  });
});

describe('the internal token', () => {
  const body = JSON.stringify({ query: '{ context }' });
  const claims = { viewer: null, requestId: 'r', address: null, userAgent: null, bodySha256: createHash('sha256').update(body).digest('base64url') };
  interface Changes { key?: KeyObject; typ?: string; issuer?: string; audience?: string; issuedAgoS?: number; payload?: object }
  const sign = ({ key = privateKey, typ = 'novacron-internal+jwt', issuer = 'novacron-gateway', audience = 'echo', issuedAgoS = 0, payload = claims }: Changes = {}) => {
    const issued = Math.floor(Date.now() / 1_000) - issuedAgoS;
    return new SignJWT({ ...payload }).setProtectedHeader({ alg: 'EdDSA', typ }).setIssuer(issuer).setAudience(audience).setIssuedAt(issued).setExpirationTime(issued + 30).sign(key);
  };
  const post = (authorization: string | undefined, path = '/echo/graphql') =>
    fetch(`${server.url}${path}`, { method: 'POST', headers: { 'content-type': 'application/json', ...(authorization === undefined ? {} : { authorization }) }, body });

  it('opens the door', async () => {
    expect((await post(`Bearer ${await sign()}`)).status).toBe(200);
  });

  it.each<[string, () => Promise<string> | string | undefined]>([
    ['absent', () => undefined],
    ['nonsense', () => 'nonsense'],
    ['signed by another key', () => sign({ key: generateKeyPairSync('ed25519').privateKey })],
    ['for another audience', () => sign({ audience: 'vms' })],
    ['expired', () => sign({ issuedAgoS: 60 })],
    ['of another issuer', () => sign({ issuer: 'someone' })],
    ['of another type', () => sign({ typ: 'at+jwt' })],
    ['for another body', () => sign({ payload: { ...claims, bodySha256: 'x' } })],
    ['without its claims', () => sign({ payload: {} })],
    ['not signed at all', () => `${Buffer.from('{"alg":"none","typ":"novacron-internal+jwt"}').toString('base64url')}.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.`],
  ])('that is %s is refused', async (_what, make) => {
    const token = await make();
    for (const path of ['/echo/graphql', '/internal/authenticate', '/internal/jwks']) {
      const response = await post(token === undefined ? undefined : `Bearer ${token}`, path);
      expect([response.status, await response.json()]).toEqual([
        401,
        { errors: [{ message: 'This address answers the gateway only.', extensions: { code: 'UNAUTHENTICATED', retryable: false } }] },
      ]);
    }
  });

  it.each([
    ['{', 'The body is no JSON.'],
    ['{"variables":{}}', 'The body is no GraphQL request.'],
  ])('that is good does not make %s a request', async (text, message) => {
    const token = await createRequestSigner(privateKey)('echo', text, context);
    const headers = { 'content-type': 'application/json', authorization: `Bearer ${token}` };
    const response = await fetch(`${server.url}/echo/graphql`, { method: 'POST', headers, body: text });
    expect([response.status, await response.json()]).toMatchObject([400, { errors: [{ message, extensions: { code: 'BAD_USER_INPUT' } }] }]);
  });

  it('is not asked for before the form of a request is refused', async () => {
    const response = await fetch(`${server.url}/echo/graphql`, { method: 'POST', headers: { 'content-type': 'text/plain' }, body: 'x' });
    expect([response.status, await response.json()]).toMatchObject([415, { errors: [{ extensions: { code: 'BAD_USER_INPUT' } }] }]);
  });

  it('is not asked for by /health', async () => {
    expect(await (await fetch(`${server.url}/health`)).json()).toEqual({ status: 'ok', subgraphs: ['echo'] });
  });
});

describe('a service that does not know our key', () => {
  it('gives no answer', async () => {
    const source = createHttpDataSource({ name: 'echo', url: server.url, signRequest: createRequestSigner(generateKeyPairSync('ed25519').privateKey) });
    await expect(source.process({ query: '{ context }', context })).rejects.toMatchObject({ reason: 'refused' });
    await source.close();
  });

  it('is UNAVAILABLE as an authenticator, and why is in the log only', async () => {
    const authority = createHttpAuthenticator({ name: 'identity', url: 'http://127.0.0.1:9', signRequest: createRequestSigner(privateKey), logger });
    await expect(authority.jwks()).rejects.toMatchObject({ code: 'UNAVAILABLE', retryable: true, message: 'The service "identity" can\'t be reached.' });
    expect(lines).toMatchObject([{ subgraph: 'identity', reason: 'unreached', err: { code: 'ECONNREFUSED' } }]);
    await authority.close();
  });
});

describe('a server', () => {
  const serve = () => serveSubgraphs({ subgraphs: [], host: '127.0.0.1', port: 0, internalPublicKey: generateKeyPairSync('ed25519').publicKey, logger });

  it.each([
    ['one byte of a body', 'POST /x HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{'],
    ['half a header', 'POST /x HTTP/1.1\r\nHo'],
    ['nothing', ''],
  ])('stops although a client has sent %s', async (_what, text) => {
    const own = await serve();
    const client = connect(own.port, '127.0.0.1');
    client.on('error', () => {}); // to be reset is what it waits for
    await once(client, 'connect');
    client.write(text);
    await fetch(`${own.url}/health`);
    const begun = performance.now();
    await own.close();
    expect(performance.now() - begun).toBeLessThan(8_000);
    client.destroy();
  });
});

describe('the authenticator over HTTP', () => {
  const remote = () => createHttpAuthenticator({ name: 'identity', url: server.url, signRequest: createRequestSigner(privateKey), logger });

  it('says who a token stands for, or that it is no good', async () => {
    const client = remote();
    expect(await client.authenticate('good', '192.0.2.1')).toEqual({ viewer, issuedAt: new Date('2029-12-31T23:50:00Z'), expiresAt: new Date('2030-01-01T00:00:00Z') });
    await expect(client.authenticate('bad', '192.0.2.1')).rejects.toMatchObject({ code: 'UNAUTHENTICATED', message: 'This access token is not valid.' });
    await expect(client.authenticate('good', null)).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
    expect(await client.jwks()).toEqual({ keys: [{ kid: 'one' }] });
    await client.close();
  });
});

describe('the internal keys', () => {
  it('are made once, whoever comes first, and readable by their owner only', async () => {
    const directory = join(await mkdtemp(join(tmpdir(), 'novacron-keys-')), 'keys');
    const made = await Promise.all(Array.from({ length: 8 }, () => loadOrCreateInternalKeys(directory)));
    const pems = new Set(made.map(({ publicKey }) => publicKey.export({ type: 'spki', format: 'pem' })));
    expect(pems.size).toBe(1);
    expect((await stat(join(directory, 'gateway.key'))).mode & 0o777).toBe(0o600);
    expect([...pems]).toEqual([(await loadInternalPublicKey(join(directory, 'gateway.pub'))).export({ type: 'spki', format: 'pem' })]);
    expect(await readFile(join(directory, 'gateway.pub'), 'utf8')).toContain('PUBLIC KEY');
  });
});

it.each([
  ['Variable "$input" got invalid value "x" at "input.kernel.initrd"; String cannot represent a non string value: 1', 'kernel.initrd'],
  ['Variable "$input" got invalid value { a: 1 }; Field "name" of required type "String!" was not provided.', 'name'],
  ['Variable "$input" got invalid value { } at "input.kernel"; Field "initrd" of required type "String!" was not provided.', 'kernel.initrd'],
  ['Variable "$input" got invalid value "x" at "input.volumes[1]"; ID cannot represent value: {}', 'volumes[1]'],
  ['Variable "$size" got invalid value "many"; A ByteSize is a number.', 'size'],
  ['Variable "$id" of required type "ID!" was not provided.', 'id'],
  ['Something else', undefined],
])('finds the field at fault in: %s', (message, field) => {
  expect(fieldAtFault(message)).toBe(field);
});
