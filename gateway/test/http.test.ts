import { request } from 'node:http';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { newId, type TenantId } from '@novacron/core';
import { createHttpDataSource, createRequestSigner } from '@novacron/transport';
import { generateKeyPairSync } from 'node:crypto';
import { eventually } from '@novacron/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createGateway } from '../src/gateway.ts';
import { securityHeaders } from '../src/http/security-headers.ts';
import { startGateway, type Fixture } from './gateway-fixture.ts';

let fixture: Fixture;
let token: string;

beforeAll(async () => {
  fixture = await startGateway({ options: { allowedOrigins: ['https://dashboard.example'] } });
  token = fixture.authority.signIn([['operator', fixture.tenant]]).token;
});
afterAll(() => fixture.close());

/** The status of GET /health for who would go on in another protocol. */
const offering = (protocol: string) =>
  new Promise<number | undefined>((resolve, reject) => {
    const asked = request(`${fixture.gateway.url}/health`, { headers: { connection: 'Upgrade, HTTP2-Settings', upgrade: protocol, 'http2-settings': 'AAMAAABkAAQAAP__' } });
    asked.on('response', (response) => resolve(response.resume().statusCode));
    asked.on('error', reject);
    asked.end();
  });

it('a client that offers HTTP/2, as some do with every request, is answered in HTTP/1.1', async () => {
  expect(await offering('h2c')).toBe(200);
});

describe('a query', () => {
  it('is answered over all subgraphs', async () => {
    const vm = fixture.world.addVm(fixture.tenant, { name: 'web-1' });
    const { status, data, errors } = await fixture.query('query ($id: ID!) { vm(id: $id) { name host { name } createdBy { email } } }', {
      token,
      variables: { id: vm.id },
    });
    expect(errors).toEqual([]);
    expect(status).toBe(200);
    expect(data).toEqual({ vm: { name: 'web-1', host: { name: expect.any(String) }, createdBy: { email: expect.stringContaining('@') } } });
  });

  it('needs no token where its fields need none', async () => {
    const { data } = await fixture.query('{ requestId }');
    expect(data).toEqual({ requestId: expect.any(String) });
  });

  it('is answered with no header that says what serves it', async () => {
    const { headers } = await fixture.query('{ requestId }');
    const itsOwn = ['cache-control', 'connection', 'content-length', 'content-type', 'date', 'keep-alive', 'vary', 'x-request-id'];
    expect([...headers.keys()].toSorted()).toEqual([...itsOwn, ...Object.keys(securityHeaders({ isEncrypted: false }))].toSorted());
  });

  it('without a token is UNAUTHENTICATED where a field needs one', async () => {
    const { status, errors } = await fixture.query('{ me }');
    expect(status).toBe(200);
    expect(errors[0]).toMatchObject({ path: ['me'], extensions: { code: 'UNAUTHENTICATED', retryable: false } });
  });

  it.each(['Bearer nonsense', 'Basic YTpi', 'Bearer'])('with the authorization "%s" is refused whole', async (authorization) => {
    const { status, data, errors } = await fixture.query('{ requestId }', { headers: { authorization } });
    expect(status).toBe(401);
    expect(data).toBeUndefined();
    expect(errors.map((error) => error.extensions['code'])).toEqual(['UNAUTHENTICATED']);
  });

  it("does not see another tenant's VM", async () => {
    const vm = fixture.world.addVm(newId<TenantId>());
    const { data, errors } = await fixture.query('query ($id: ID!) { vm(id: $id) { name } }', { token, variables: { id: vm.id } });
    expect(data).toEqual({ vm: null });
    expect(errors[0]?.extensions['code']).toBe('NOT_FOUND');
  });

  it.each([
    ['{', 'GRAPHQL_PARSE_FAILED', undefined, 200],
    ['{ nothing }', 'GRAPHQL_VALIDATION_FAILED', undefined, 200],
    ['query A { me } query B { me }', 'OPERATION_RESOLUTION_FAILURE', undefined, 200],
    ['query ($id: ID!) { vm(id: $id) { name } }', 'BAD_USER_INPUT', 'id', 200],
    ['subscription { vmChanged { cursor } }', 'BAD_REQUEST', undefined, 400],
  ])('%s is %s', async (query, code, field, status) => {
    const answer = await fixture.query(query, { token });
    expect(answer.errors[0]?.extensions).toEqual({ code, ...(field ? { field } : {}), retryable: false, requestId: expect.any(String) });
    expect(answer.status).toBe(status);
  });

  it.each([
    [{ input: { name: 'web', memory: '5 bananas' } }, 'memory'],
    [{ input: { memory: '512MiB' } }, 'name'],
    [{ input: { name: 7, memory: 1 } }, 'name'],
  ])('names the input at fault in %j', async (variables, field) => {
    const { errors } = await fixture.query('mutation ($input: CreateVmInput!) { createVm(input: $input) }', { token, variables });
    expect(errors[0]?.extensions).toMatchObject({ code: 'BAD_USER_INPUT', field });
  });

  it('refuses a wrong literal like a wrong variable', async () => {
    const { errors } = await fixture.query('mutation { createVm(input: { name: "web", memory: "5 bananas" }) }', { token });
    expect(errors[0]?.extensions['code']).toBe('BAD_USER_INPUT');
    expect(errors[0]?.message).toContain('ByteSize');
  });
});

describe('an error', () => {
  it('of the domain keeps its code, field and message, and shows nothing else', async () => {
    const { errors } = await fixture.query('{ refused }', { token });
    expect(errors).toEqual([
      {
        message: 'The tenant has 3 VMs of 3.',
        path: ['refused'],
        extensions: { code: 'QUOTA_EXCEEDED', field: 'vcpus', retryable: false, requestId: expect.any(String) },
      },
    ]);
  });

  it('that nobody foresaw is masked, and logged once with the request id', async () => {
    const { errors, headers } = await fixture.query('{ broken }', { token, headers: { 'x-request-id': 'look-for-me' } });
    expect(headers.get('x-request-id')).toBe('look-for-me');
    expect(errors).toEqual([
      {
        message: 'Something went wrong inside NovaCron.',
        path: ['broken'],
        extensions: { code: 'INTERNAL', retryable: false, requestId: 'look-for-me' },
      },
    ]);
    const logged = fixture.lines.filter((line) => line['requestId'] === 'look-for-me');
    expect(logged).toHaveLength(1);
    expect(logged[0]).toMatchObject({ err: { message: 'password=hunter2 at /srv/secret.ts' }, subgraph: 'vms' });
  });
});

describe('a request', () => {
  it.each(['a b', 'x'.repeat(65), ''])('gets an id of its own instead of "%s"', async (id) => {
    const { headers, data } = await fixture.query('{ requestId }', { headers: { 'x-request-id': id } });
    expect(headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/);
    expect(data).toEqual({ requestId: headers.get('x-request-id') });
  });

  it.each([
    ['larger than 256 kB', JSON.stringify({ query: `{ me } #${'x'.repeat(300_000)}` }), 'application/json', 413],
    ['not JSON', '{', 'application/json', 400],
    ['of another type', 'query=x', 'text/plain', 415],
    ['empty of a query', '{}', 'application/json', 400],
  ])('that is %s is refused as JSON', async (_what, body, type, status) => {
    const response = await fetch(`${fixture.gateway.url}/graphql`, { method: 'POST', headers: { 'content-type': type }, body });
    expect(response.status).toBe(status);
    expect(await response.json()).toMatchObject({ errors: [{ extensions: { code: 'BAD_REQUEST', requestId: expect.any(String) } }] });
  });
});

describe('a token', () => {
  it('is looked up once, until its user or session changes', async () => {
    const { token: own, viewer } = fixture.authority.signIn([['viewer', fixture.tenant]]);
    const before = fixture.authority.asked;
    await Promise.all([fixture.query('{ me }', { token: own }), fixture.query('{ me }', { token: own })]);
    await fixture.query('{ me }', { token: own });
    expect(fixture.authority.asked).toBe(before + 1);

    const vm = fixture.world.addVm(fixture.tenant);
    const read = () => fixture.query('query ($id: ID!) { vm(id: $id) { name } }', { token: own, variables: { id: vm.id } });
    expect((await read()).data).toEqual({ vm: { name: 'web' } });
    fixture.authority.setRoles(own, []);
    fixture.log.append({ type: 'user.access', tenantId: null, entityId: viewer.userId, after: {} });
    await eventually('the roles to be gone', async () => (await read()).errors[0]?.extensions['code'] === 'NOT_FOUND');

    fixture.log.append({ type: 'session.revoked', tenantId: null, entityId: viewer.sessionId, after: { userId: viewer.userId } });
    await eventually('the session to be gone', async () => (await read()).status === 401);
  });

  it('is refused when it expires, kept or not', async () => {
    const { token: own } = fixture.authority.signIn([['viewer', fixture.tenant]], 300);
    expect((await fixture.query('{ me }', { token: own })).status).toBe(200);
    await eventually('the token to expire', async () => (await fixture.query('{ me }', { token: own })).status === 401);
  });
});

describe('the gateway', () => {
  it('says that it is alive and ready, and what is not', async () => {
    expect(await (await fetch(`${fixture.gateway.url}/health`)).json()).toEqual({ status: 'ok' });
    const ready = await fetch(`${fixture.gateway.url}/ready`);
    const supergraph = { hash: expect.stringMatching(/^[0-9a-f]{64}$/), loadedAt: expect.any(String), isUpToDate: true };
    expect([ready.status, await ready.json()]).toEqual([200, { ready: true, checks: { supergraph: true, events: true, redis: true }, supergraph, subgraphs: { vms: 'closed', identity: 'closed', monitoring: 'closed' } }]);
    expect(await (await fetch(`${fixture.gateway.url}/.well-known/jwks.json`)).json()).toEqual({ keys: [{ kty: 'OKP', kid: 'one' }] });
  });

  it('counts what it does', async () => {
    await fixture.query('{ requestId }');
    expect(await fixture.metric('novacron_graphql_operations_total{type="query",outcome="ok"}')).toBeGreaterThan(0);
    expect(await fixture.metric('novacron_http_requests_total{method="POST",route="/graphql",status="200"}')).toBeGreaterThan(0);
  });

  it('names the port that is taken and the variable that moves it', async () => {
    await expect(createGateway({ ...fixture.options, port: fixture.gateway.port })).rejects.toThrow(
      `Port ${fixture.gateway.port} is already in use: set NOVACRON_PORT to a free one.`,
    );
  });

  it('names the service that it has no data source for', async () => {
    await expect(createGateway({ ...fixture.options, dataSources: {} })).rejects.toThrow('no data source for identity, monitoring, vms');
  });

  it('answers an unknown address as JSON', async () => {
    const response = await fetch(`${fixture.gateway.url}/nothing`);
    expect(response.status).toBe(404);
    expect(await response.json()).toMatchObject({ errors: [{ extensions: { code: 'NOT_FOUND' } }] });
  });
});

describe('the playground', () => {
  it('is served with its files under a strict policy; until it is built, a page says so', async () => {
    const browser = { headers: { accept: 'text/html,*/*' } };
    const missing = await fetch(`${fixture.gateway.url}/`, browser);
    expect([missing.status, await missing.text()]).toEqual([503, expect.stringContaining('npm start')]);

    const assets = join(fixture.options.playgroundDir, 'assets');
    await mkdir(assets, { recursive: true });
    await writeFile(join(assets, 'index-1a2b.js'), 'export {};');
    await writeFile(join(fixture.options.playgroundDir, 'index.html'), '<p>the playground</p>');
    for (const path of ['/', '/playground', '/playground/', '/graphql']) {
      const page = await fetch(`${fixture.gateway.url}${path}`, browser);
      expect([path, page.status, await page.text()]).toEqual([path, 200, '<p>the playground</p>']);
      expect(page.headers.get('content-security-policy')).toContain("script-src 'self';");
      expect(page.headers.get('x-frame-options')).toBe('DENY');
      expect(page.headers.get('x-content-type-options')).toBe('nosniff');
      expect(page.headers.get('cache-control')).toBe('no-cache');
    }
    const script = await fetch(`${fixture.gateway.url}/playground/assets/index-1a2b.js`);
    expect(script.headers.get('content-type')).toContain('javascript');
    expect(script.headers.get('cache-control')).toContain('immutable');
    expect(script.headers.get('content-security-policy')).toContain("frame-ancestors 'none'");
    expect((await fetch(`${fixture.gateway.url}/playground/%2e%2e/%2e%2e/etc/passwd`)).status).toBe(404);
  });
});

describe('a service that is down', () => {
  it('costs its own fields only, and says nothing of the inside', async () => {
    const { privateKey } = generateKeyPairSync('ed25519');
    const down = createHttpDataSource({
      name: 'identity',
      url: 'http://127.0.0.1:9', // discard: nothing listens there
      signRequest: createRequestSigner(privateKey),
    });
    const own = await startGateway({ dataSources: (sources) => ({ ...sources, identity: down }) });
    try {
      const vm = own.world.addVm(own.tenant);
      const { token: member } = own.authority.signIn([['viewer', own.tenant]]);
      const { data, errors } = await own.query('query ($id: ID!) { vm(id: $id) { name createdBy { email } } }', { token: member, variables: { id: vm.id } });
      expect(data).toEqual({ vm: { name: 'web', createdBy: null } });
      expect(errors).toEqual([
        { message: 'The service "identity" can\'t be reached.', path: ['vm', 'createdBy'], extensions: { code: 'UNAVAILABLE', retryable: true, requestId: expect.any(String) } },
      ]);
      own.world.addVm(own.tenant);
      const paths = async (query: string) => (await own.query(query, { token: member })).errors.map(({ path }) => path);
      expect(await paths('{ who: me requestId }')).toEqual([['who'], ['requestId']]);
      expect(await paths('{ vms { createdBy { email } } }')).toEqual([['vms', 0, 'createdBy'], ['vms', 1, 'createdBy']]);
    } finally {
      await own.close();
      await down.close();
    }
  });
});
