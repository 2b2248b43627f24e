import { newId, type HostId } from '@novacron/core';
import { HOST_METRICS_CHANNEL, VM_METRICS_CHANNEL, type HostSample, type VmSample } from '@novacron/contracts';
import { eventually } from '@novacron/testkit';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { UNLIMITED } from '../src/rate-limits/settings.ts';
import { startGateway, type Fixture } from './gateway-fixture.ts';
import { vmSample } from './samples.ts';

let fixture: Fixture;
let token: string;
beforeAll(async () => {
  fixture = await startGateway();
  ({ token } = fixture.authority.signIn([['operator', fixture.tenant]]));
});
afterAll(() => fixture.close());

interface Reply {
  status: number;
  headers: Headers;
  body: any; // oxlint-disable-line typescript/no-explicit-any -- JSON, looked into by the tests
}

async function ask(method: string, path: string, { body, headers = {}, as = token }: { body?: unknown; headers?: Record<string, string>; as?: string | null } = {}): Promise<Reply> {
  const response = await fetch(`${fixture.gateway.url}${path}`, {
    method,
    redirect: 'manual',
    headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...(as === null ? {} : { authorization: `Bearer ${as}` }), ...headers },
    body: body === undefined ? null : typeof body === 'string' ? body : JSON.stringify(body),
  });
  const text = await response.text();
  return { status: response.status, headers: response.headers, body: text === '' ? null : JSON.parse(text) };
}

/** A problem of this status, as every refusal is one. */
async function refused(status: number, ...request: Parameters<typeof ask>): Promise<Reply> {
  const reply = await ask(...request);
  expect(reply.headers.get('content-type')).toBe('application/problem+json; charset=utf-8');
  expect(reply.body).toMatchObject({ status, title: expect.any(String), detail: expect.any(String), code: expect.any(String), requestId: reply.headers.get('x-request-id') });
  expect(reply.status).toBe(status);
  return reply;
}

describe('an item', () => {
  it('is answered with what it has itself and the ids of what it refers to', async () => {
    const vm = fixture.world.addVm(fixture.tenant, { name: 'web', tags: ['a'] });
    const { status, headers, body } = await ask('GET', `/api/v1/vms/${vm.id}`);
    expect([status, headers.get('content-type'), headers.get('cache-control')]).toEqual([200, 'application/json; charset=utf-8', 'no-store']);
    expect(body).toEqual({ id: vm.id, name: 'web', state: 'RUNNING', desiredState: 'RUNNING', generation: 1, tags: ['a'], host: { id: vm.hostId }, createdBy: { id: vm.createdBy } });
  });

  it('is answered with what was chosen', async () => {
    const vm = fixture.world.addVm(fixture.tenant);
    const { body } = await ask('GET', `/api/v1/vms/${vm.id}?fields=name,createdBy.email`);
    expect(body).toEqual({ name: 'web', createdBy: { email: fixture.world.users.get(vm.createdBy)?.email } });
    expect((await refused(400, 'GET', `/api/v1/vms/${vm.id}?fields=nope`)).body).toMatchObject({ code: 'BAD_USER_INPUT', field: 'fields' });
  });

  it('that is not there is NOT_FOUND', async () => {
    expect((await refused(404, 'GET', `/api/v1/vms/${newId()}`)).body).toMatchObject({ code: 'NOT_FOUND', title: 'Not Found', retryable: false });
  });

  it('can be asked for without its body', async () => {
    const vm = fixture.world.addVm(fixture.tenant);
    expect(await ask('HEAD', `/api/v1/vms/${vm.id}`)).toMatchObject({ status: 200, body: null });
  });
});

it('a list says where its other pages are', async () => {
  for (let count = fixture.world.hosts.size; count < 5; count += 1) fixture.world.addVm(fixture.tenant);
  const all = [...fixture.world.hosts.values()].map(({ id }) => id).toSorted();
  const linksOf = (reply: Reply) => Object.fromEntries([...(reply.headers.get('link') ?? '').matchAll(/<([^>]+)>; rel="(\w+)"/g)].map(([, url = '', rel = '']) => [rel, url]));
  const idsOf = (reply: Reply) => reply.body.items.map(({ id }: { id: string }) => id);

  const first = await ask('GET', '/api/v1/hosts?first=2&fields=id');
  expect(first.body).toEqual({ items: all.slice(0, 2).map((id) => ({ id })), totalCount: all.length, pageInfo: expect.objectContaining({ hasNextPage: true, hasPreviousPage: false }) });
  expect(Object.keys(linksOf(first))).toEqual(['next']);
  expect(linksOf(first)['next']).toContain('fields=id');

  const second = await ask('GET', linksOf(first)['next'] ?? '');
  expect(idsOf(second)).toEqual(all.slice(2, 4));
  expect(idsOf(await ask('GET', linksOf(second)['prev'] ?? ''))).toEqual(all.slice(0, 2));
  const { items, pageInfo } = (await ask('GET', '/api/v1/hosts?first=500')).body;
  expect([items.length, pageInfo.hasNextPage]).toEqual([all.length, false]);
});

describe('a mutation', () => {
  it('that takes time is accepted, and says where to look', async () => {
    const vm = fixture.world.addVm(fixture.tenant, { state: 'STOPPED' });
    const { status, headers, body } = await ask('POST', `/api/v1/vms/${vm.id}/start`);
    expect(status).toBe(202);
    expect(headers.get('location')).toBe(`/api/v1/operations/${body.operation.id}`);
    expect(body).toMatchObject({ vm: { id: vm.id, name: 'web', host: { id: vm.hostId } }, operation: { kind: 'vm.start', state: 'QUEUED', progress: 0 } });
  });

  it('says where to look whatever was chosen, and takes JSON that is not there for none', async () => {
    const vm = fixture.world.addVm(fixture.tenant, { state: 'STOPPED' });
    const { headers, body } = await ask('POST', `/api/v1/vms/${vm.id}/start?fields=vm.name`, { body: '' });
    expect(body).toEqual({ vm: { name: 'web' }, operation: { id: expect.any(String) } });
    expect(headers.get('location')).toBe(`/api/v1/operations/${body.operation.id}`);
  });

  it('that makes something says where it is', async () => {
    const { status, headers, body } = await ask('POST', '/api/v1/hosts', { body: { name: 'rack-1' }, headers: { 'idempotency-key': 'once' } });
    expect([status, headers.get('location'), body.name]).toEqual([201, `/api/v1/hosts/${body.id}`, 'rack-1']);
  });

  it('that answers nothing has no body', async () => {
    expect(await ask('POST', '/api/v1/logout', { body: {} })).toMatchObject({ status: 204, body: null });
  });

  it.each([
    ['who may not', 403, 'FORBIDDEN', undefined],
    ['a state that is against it', 409, 'INVALID_STATE', 'id'],
  ])('is refused: %s', async (_what, status, code, field) => {
    const vm = fixture.world.addVm(fixture.tenant, { state: 'RUNNING' });
    const as = status === 403 ? fixture.authority.signIn([['viewer', fixture.tenant]]).token : token;
    const { body } = await refused(status, 'POST', `/api/v1/vms/${vm.id}/start`, { as });
    expect([body.code, body.field]).toEqual([code, field]);
  });
});

describe('what is wrong with a request', () => {
  it.each([
    ['JSON that is none', 400, 'POST', '/api/v1/hosts', { body: '{"name":' }, { code: 'BAD_REQUEST', detail: 'The body is no JSON.' }],
    ['a list for a body', 400, 'POST', '/api/v1/hosts', { body: [] }, { code: 'BAD_USER_INPUT' }],
    ['a missing field', 400, 'POST', '/api/v1/hosts', { body: {} }, { code: 'BAD_USER_INPUT', field: 'name' }],
    ['a value of another type', 400, 'POST', '/api/v1/hosts', { body: { name: 7 } }, { code: 'BAD_USER_INPUT', field: 'name' }],
    ['a value that a service refuses', 400, 'POST', '/api/v1/vms', { body: { name: 'a', memory: 'much' } }, { code: 'BAD_USER_INPUT' }],
    ['an unknown parameter', 400, 'GET', '/api/v1/hosts?nope=1', {}, { code: 'BAD_USER_INPUT', field: 'nope' }],
    ['a parameter of another type', 400, 'GET', '/api/v1/hosts?first=many', {}, { code: 'BAD_USER_INPUT', field: 'first' }],
    ['a cursor that is none', 400, 'GET', '/api/v1/hosts?after=x', {}, { code: 'BAD_USER_INPUT', field: 'after' }],
    ['another media type', 415, 'POST', '/api/v1/hosts', { body: 'name=a', headers: { 'content-type': 'application/x-www-form-urlencoded' } }, { code: 'BAD_REQUEST' }],
    ['a body that is too large', 413, 'POST', '/api/v1/hosts', { body: { name: 'x'.repeat(300_000) } }, { code: 'BAD_REQUEST' }],
    ['another method', 405, 'DELETE', '/api/v1/hosts', {}, { code: 'BAD_REQUEST' }],
    ['another address', 404, 'GET', '/api/v1/nope', {}, { code: 'NOT_FOUND' }],
    ['an address of what is not there yet', 404, 'GET', '/api/v1/alerts', {}, { code: 'NOT_FOUND' }],
    ['an address outside of v1', 404, 'GET', '/api/v2/vms', {}, { code: 'NOT_FOUND' }],
  ] as const)('%s is %i', async (_what, status, method, path, request, expected) => {
    expect((await refused(status, method, path, request)).body).toMatchObject(expected);
  });

  it('says which methods there are', async () => {
    expect((await refused(405, 'DELETE', '/api/v1/hosts')).headers.get('allow')).toBe('GET, POST');
  });

  it.each([
    ['without a token', null],
    ['with a token that is no good', 'nope'],
  ])('%s is 401', async (_what, as) => {
    const { headers, body } = await refused(401, 'GET', '/api/v1/vms', { as });
    expect([headers.get('www-authenticate'), body.code]).toEqual(['Bearer realm="NovaCron"', 'UNAUTHENTICATED']);
  });

  it('says nothing of the inside', async () => {
    const { body } = await refused(500, 'GET', '/api/v1/broken');
    expect(body).toMatchObject({ code: 'INTERNAL', detail: 'Something went wrong inside NovaCron.' });
    expect((await refused(403, 'GET', '/api/v1/refused')).body).toMatchObject({ code: 'QUOTA_EXCEEDED', field: 'vcpus' });
  });
});

it('answers whatever it is asked, and breaks at nothing', async () => {
  const part = fc.oneof(fc.constantFrom('vms', 'hosts', 'start', 'plan', 'metrics', '..', '%2e%2e', '%', '{id}', '__proto__', ''), fc.string({ maxLength: 8 }).map(encodeURIComponent));
  const name = fc.oneof(fc.constantFrom('first', 'after', 'fields', 'states', 'filter', 'orderBy', 'id', '__proto__'), fc.string({ maxLength: 8 }));
  const request = fc.record({
    method: fc.constantFrom('GET', 'POST', 'PUT', 'PATCH', 'DELETE'),
    path: fc.array(part, { maxLength: 4 }).map((parts) => `/api/v1/${parts.join('/')}`),
    query: fc.array(fc.tuple(name, fc.oneof(fc.constantFrom('-1', '1e99', 'id,,name', 'host.name', 'true'), fc.string({ unit: 'binary', maxLength: 20 }))), { maxLength: 3 }),
    body: fc.oneof(fc.json(), fc.dictionary(fc.constantFrom('name', 'memory', 'input', 'id', 'constructor'), fc.jsonValue()).map((value) => JSON.stringify(value)), fc.string()),
  });
  await fc.assert(
    fc.asyncProperty(request, async ({ method, path, query, body }) => {
      const response = await fetch(`${fixture.gateway.url}${path}?${String(new URLSearchParams(query))}`, {
        method,
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        body: method === 'GET' ? null : body,
      });
      const text = await response.text();
      expect([response.status < 500, text === '' || typeof JSON.parse(text)]).toEqual([true, text === '' || 'object']);
    }),
    { numRuns: 150 },
  );
});

describe('limits', () => {
  it('of sign-ins and of requests are those of the graph, and say when to come back', async () => {
    const own = await startGateway({ options: { rateLimits: { ...UNLIMITED, loginsPerMinute: 2, pointsPerMinute: 30 } } });
    try {
      const post = (path: string, body: object) => fetch(`${own.gateway.url}${path}`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) });
      const credentials = { email: 'a@b.c', password: 'wrong' };
      const statuses: number[] = [];
      for (const path of ['/api/auth/login', '/api/v1/login', '/api/auth/login']) statuses.push((await post(path, credentials)).status);
      expect(statuses).toEqual([401, 401, 429]);
      const { token: as } = own.authority.signIn([['operator', own.tenant]]);
      const list = () => fetch(`${own.gateway.url}/api/v1/hosts?fields=id&first=10`, { headers: { authorization: `Bearer ${as}` } });
      const refusal = await eventually('the points to be used up', async () => {
        const response = await list();
        return response.status === 429 && response;
      });
      expect([refusal.headers.get('content-type'), Number(refusal.headers.get('retry-after')) > 0]).toEqual(['application/problem+json; charset=utf-8', true]);
      expect(await refusal.json()).toMatchObject({ code: 'RATE_LIMITED', retryable: true });
    } finally {
      await own.close();
    }
  });
});

describe('the addresses of older clients', () => {
  it('sign in and out', async () => {
    expect(await ask('POST', '/api/auth/login', { as: null, body: { email: 'a@b.c', password: 'right' } })).toMatchObject({ status: 200, body: { accessToken: 'token of a@b.c' } });
    expect((await refused(401, 'POST', '/api/auth/login', { as: null, body: { email: 'a@b.c', password: 'wrong' } })).body.detail).toBe('The address or the password is wrong.');
    expect((await ask('POST', '/api/auth/logout')).status).toBe(204);
    await refused(401, 'POST', '/api/auth/logout', { as: null });
  });

  it('register', async () => {
    expect(await ask('POST', '/api/auth/register', { as: null, body: { email: 'a@b.c', password: 'right', name: 'a' } })).toMatchObject({ status: 200, body: { accessToken: 'token of a@b.c' } });
  });

  it('say that the gateway is there', async () => {
    expect(await ask('GET', '/api/health', { as: null })).toMatchObject({ status: 200, body: { status: 'ok' } });
  });

  it('give the latest samples of VMs to who may read them', async () => {
    const [ours, foreign] = [vmSample(fixture.tenant), vmSample(newId())];
    await fixture.redis.publish(VM_METRICS_CHANNEL, JSON.stringify([ours, foreign] satisfies VmSample[]));
    const items = await eventually('the samples', async () => {
      const { body } = await ask('GET', '/api/v1/metrics/vms');
      return body.items.length > 0 && body.items;
    });
    expect(items).toEqual([ours]);
    await refused(401, 'GET', '/api/v1/metrics/vms', { as: null });
  });

  it('give the sum of the fleet to who may read hosts', async () => {
    const host = (cpu: number): HostSample => ({ hostId: newId<HostId>(), at: new Date().toISOString(), cpu, memoryUsed: 1, memoryTotal: 4, vmsRunning: 2 });
    const hosts = [host(0.25), host(0.75)];
    await fixture.redis.publish(HOST_METRICS_CHANNEL, JSON.stringify(hosts));
    const admin = fixture.authority.signIn([['platform_admin', fixture.tenant]]).token;
    const { body } = await eventually('the samples', async () => {
      const reply = await ask('GET', '/api/v1/metrics/system', { as: admin });
      return reply.body.hosts.length > 0 && reply;
    });
    expect(body).toEqual({ at: expect.any(String), hosts, totals: { hosts: 2, cpu: 0.5, memoryUsed: 2, memoryTotal: 8, vmsRunning: 4 } });
    await refused(403, 'GET', '/api/v1/metrics/system');
  });
});

it('describes itself', async () => {
  const { body } = await ask('GET', '/api/v1/openapi.json', { as: null });
  expect(body).toMatchObject({ openapi: '3.1.1', paths: { '/api/v1/vms/{id}/start': { post: { operationId: 'startVm' } }, '/api/auth/login': { post: {} } } });
});

it('describes itself only to who may read the schema', async () => {
  const own = await startGateway({ options: { introspection: 'authenticated' } });
  try {
    const statusOf = async (headers: Record<string, string>) => (await fetch(`${own.gateway.url}/api/v1/openapi.json`, { headers })).status;
    const { token: as } = own.authority.signIn([['viewer', own.tenant]]);
    expect([await statusOf({}), await statusOf({ authorization: `Bearer ${as}` })]).toEqual([401, 200]);
  } finally {
    await own.close();
  }
});

it('serves Swagger UI from its own files, and no others', async () => {
  const page = await fetch(`${fixture.gateway.url}/api/docs`);
  expect([page.url, page.status]).toEqual([`${fixture.gateway.url}/api/docs/`, 200]);
  expect(page.headers.get('content-security-policy')).toMatch(/default-src 'none'.*script-src 'self';.*style-src 'self';/);
  const files = [...(await page.text()).matchAll(/(?:src|href)="([^"]+)"/g)].map(([, file = '']) => file);
  expect(files).toHaveLength(4);
  for (const file of files) expect((await fetch(`${fixture.gateway.url}/api/docs/${file}`)).status).toBe(200);
  await refused(404, 'GET', '/api/docs/package.json');
});
