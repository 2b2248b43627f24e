import { newId } from '@novacron/core';
import { eventually } from '@novacron/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FIELD_CASES, ROOT_CASES } from './authorization/all.ts';
import { everybodys, type Subject } from './authorization/cases.ts';
import { Fixtures } from './authorization/fixtures.ts';
import type { Graph, Loose } from './kit/client.ts';
import { startEmbedded, type Embedded } from './kit/embedded.ts';
import { makePeople, type People } from './kit/people.ts';
import { rest } from './kit/rest.ts';
import { Operation } from './kit/vm.ts';

/** What API tokens may do, on every path through the gateway. */

let system: Embedded;
let people: People;
let fixtures: Fixtures;
let subject: Subject;
/** For a platform administrator who may do everything: a token for one thing that nothing here is about. */
let idle: Graph;

beforeAll(async () => {
  system = await startEmbedded({}, { hosts: 2 });
  people = await makePeople(system.graph);
  fixtures = await Fixtures.open(system, people);
  ({ subject } = await fixtures.subject());
  idle = await tokenOf(fixtures.admin, ['migration:cancel']);
}, 120_000);
afterAll(() => system?.close());

const CREATE = 'mutation ($input: CreateApiTokenInput!) { createApiToken(input: $input) { secret token { id } } }';

async function makeToken(owner: Graph, scopes: readonly string[], input: object = {}): Promise<{ id: string; graph: Graph }> {
  const { createApiToken } = await owner.run(CREATE, { input: { name: 'e2e', scopes, ...input } });
  return { id: createApiToken.token.id, graph: system.graph.as({ token: createApiToken.secret }) };
}
const tokenOf = async (owner: Graph, scopes: readonly string[]): Promise<Graph> => (await makeToken(owner, scopes)).graph;

const named = (about: Subject): Subject => ({ ...about, unique: `n${newId().replaceAll('-', '').slice(-20)}` });
const casesOf = (isSubscription: boolean) => Object.entries(ROOT_CASES).filter(([name]) => name.startsWith('Subscription.') === isSubscription);

describe('a token that was made for something else', () => {
  it('sees and changes nothing by any field of Query and Mutation', async () => {
    const before = await fixtures.seen(subject);
    const answered: Record<string, string> = {};
    for (const [name, { document, variables, shows, expect: expected }] of casesOf(false)) {
      if (everybodys(expected).anonymous !== 'UNAUTHENTICATED') continue; // needs no token at all
      const { data, errors } = await idle.ask(document, variables?.(named(subject)));
      const value = data?.[name.slice(name.indexOf('.') + 1)];
      const isSeen = value != null && (shows === undefined || shows(value, subject));
      const code = errors[0]?.extensions.code ?? (isSeen ? 'ok' : 'nothing');
      if (!['FORBIDDEN', 'NOT_FOUND', 'nothing'].includes(code)) answered[name] = code;
    }
    expect(answered).toEqual({ 'Query.me': 'ok', 'Query.apiTokenScopes': 'ok' });
    expect(await fixtures.seen(subject)).toEqual(before);
  });

  it('sees no guarded field', async () => {
    const answered: Record<string, unknown> = {};
    for (const [name, { document, variables }] of Object.entries(FIELD_CASES)) {
      const { data, errors } = await idle.ask(document, variables(subject));
      const field = Object.values(data ?? {})[0]?.field ?? null;
      if (field !== null || !['FORBIDDEN', undefined].includes(errors[0]?.extensions.code)) answered[name] = errors[0] ?? field;
    }
    expect(answered).toEqual({});
  });

  it('hears nothing', async () => {
    const codes: Record<string, string | number> = {};
    for (const [name, { document, variables }] of casesOf(true)) {
      const subscription = await idle.subscribe(document, variables?.(subject));
      codes[name] = (await eventually(`${name} to be refused`, () => subscription.ended)).code;
      await subscription.close();
    }
    expect(codes).toEqual(Object.fromEntries(casesOf(true).map(([name]) => [name, 'FORBIDDEN'])));
  });

  it.each(['/api/v1/vms', '/api/v1/hosts', '/api/v1/tenants', '/api/v1/operations', '/api/v1/storage-pools', '/api/v1/metrics/vms', '/api/v1/metrics/system'])('reads nothing at %s', async (path) => {
    expect((await rest(system.graph.url, fixtures.admin.token, 'GET', path)).status).toBe(200);
    expect(await rest(system.graph.url, idle.token, 'GET', path)).toMatchObject({ status: 403, body: { code: 'FORBIDDEN' } });
  });

  it('is told no query plan', async () => {
    const body = { query: '{ me { id } }' };
    expect((await rest(system.graph.url, fixtures.admin.token, 'POST', '/graphql/plan', body)).status).toBe(200);
    expect((await rest(system.graph.url, idle.token, 'POST', '/graphql/plan', body)).status).toBe(403);
  });
});

it('shows of a VM what its scopes say, and nothing of what hangs on it', async () => {
  const read = async (graph: Graph, fields: string): Promise<string> => {
    const { data, errors } = await graph.ask(`query ($id: ID!) { it: vm(id: $id) { ${fields} } }`, { id: subject.vmId });
    if (errors[0]) return errors[0].extensions.code;
    const [value] = Object.values((data?.['it'] ?? {}) as Loose);
    return value === null || (Array.isArray(value) && value.length === 0) ? 'nothing' : 'ok';
  };
  const FIELDS = {
    name: ['vm:read'],
    'host { name }': ['vm:read'],
    'tenant { name }': ['vm:read', 'tenant:read'],
    'nics { network { name } }': ['vm:read', 'network:read'],
    'volumes { name }': ['vm:read', 'volume:read'],
    'operations { totalCount }': ['vm:read', 'operation:read'],
  };
  const bare = await tokenOf(fixtures.admin, ['vm:read']);
  const answered: Record<string, [string, string]> = {};
  for (const [fields, scopes] of Object.entries(FIELDS)) answered[fields] = [await read(bare, fields), await read(await tokenOf(fixtures.admin, scopes), fields)];
  expect(answered).toEqual({
    name: ['ok', 'ok'],
    'host { name }': ['ok', 'ok'],
    'tenant { name }': ['FORBIDDEN', 'ok'],
    'nics { network { name } }': ['FORBIDDEN', 'ok'],
    'volumes { name }': ['FORBIDDEN', 'ok'],
    'operations { totalCount }': ['FORBIDDEN', 'ok'],
  });
});

it('does what its scopes say, for its user', async () => {
  const operator = system.graph.as(people.operator);
  const tag = 'mutation ($id: ID!, $tags: [String!]) { updateVm(input: { id: $id, tags: $tags }) { vm { tags } } }';
  const graph = await tokenOf(operator, ['vm:read', 'vm:update']);
  expect((await graph.run(tag, { id: subject.vmId, tags: ['by-token'] }))['updateVm'].vm.tags).toEqual(['by-token']);
  expect((await graph.refused('mutation ($id: ID!) { stopVm(id: $id) { operation { id } } }', { id: subject.vmId })).extensions.code).toBe('FORBIDDEN');
  // it is asked to look at nothing, and the operation is its id; to follow that one needs a scope, too
  const restart = await tokenOf(operator, ['vm:reboot']);
  const REBOOT = (fields: string) => `mutation ($id: ID!) { rebootVm(id: $id, force: true) { ${fields} } }`;
  expect((await restart.refused(REBOOT('vm { id } operation { id }'), { id: subject.vmId })).extensions.code).toBe('FORBIDDEN');
  const { rebootVm } = await restart.run(REBOOT('operation { id }'), { id: subject.vmId });
  await new Operation(operator, rebootVm.operation.id).succeeds();
  expect((await restart.refused('query ($id: ID!) { operation(id: $id) { state } }', { id: rebootVm.operation.id })).extensions.code).toBe('FORBIDDEN');
  // not even what its user might do: scopes are no roles
  expect((await (await tokenOf(operator, ['vm:read'])).refused(tag, { id: subject.vmId, tags: [] })).extensions.code).toBe('FORBIDDEN');
});

it('is refused at once when it is revoked: over HTTP, REST and on a socket', async () => {
  const { id, graph } = await makeToken(fixtures.admin, ['vm:read']);
  const subscription = await graph.subscribe('subscription { vmChanged { cursor } }');
  expect((await graph.run('{ me { id } }'))['me'].id).toBe(people.platformAdmin.id);
  await fixtures.admin.run('mutation ($id: ID!) { revokeApiToken(id: $id) }', { id });
  expect(await subscription.code()).toBe(4403);
  expect((await graph.refused('{ me { id } }')).extensions.code).toBe('UNAUTHENTICATED');
  expect((await rest(system.graph.url, graph.token, 'GET', '/api/v1/vms')).status).toBe(401);
  await subscription.close();
});

it('is good from its networks only, whoever else asks with it', async () => {
  const here = await makeToken(fixtures.admin, ['vm:read'], { addresses: ['127.0.0.0/8', '::1'] });
  const elsewhere = await makeToken(fixtures.admin, ['vm:read'], { addresses: ['203.0.113.0/24'] });
  expect((await here.graph.ask('{ me { id } }')).errors).toEqual([]);
  expect((await elsewhere.graph.refused('{ me { id } }')).extensions.code).toBe('UNAUTHENTICATED');
  const subscription = await elsewhere.graph.subscribe('subscription { vmChanged { cursor } }');
  expect(await subscription.code()).toBe(4403);
  await subscription.close();
  // nobody's word counts but that of a proxy which is trusted
  const forwarded = await elsewhere.graph.ask('{ me { id } }', {}, { 'x-forwarded-for': '203.0.113.7' });
  expect(forwarded.errors[0]?.extensions.code).toBe('UNAUTHENTICATED');
});
