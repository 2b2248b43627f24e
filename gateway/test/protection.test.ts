import { readFile } from 'node:fs/promises';
import { loadSupergraph } from '@novacron/supergraph';
import { getIntrospectionQuery, getOperationAST, parse, validate, type OperationDefinitionNode } from 'graphql';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { startGateway, type Fixture } from './gateway-fixture.ts';
import { watchers } from './watchers.ts';

let fixture: Fixture;
let token: string;
let nobody: string;
const { closeAll, connect } = watchers(() => fixture);

beforeAll(async () => {
  fixture = await startGateway({ options: { introspection: 'operator', maximumCost: 500 } });
  token = fixture.authority.signIn([['operator', fixture.tenant]]).token;
  nobody = fixture.authority.signIn([]).token;
  await fixture.query('{ me }', { token }); // what is done once is no matter of the times below
});
afterAll(() => fixture.close());
beforeEach(() => void (fixture.world.fetches.length = 0));
afterEach(closeAll);

const repeat = (count: number, line: (index: number) => string) => Array.from({ length: count }, (_, index) => line(index)).join(' ');
const nested = (depth: number, open: string, close: string) => open.repeat(depth) + close.repeat(depth);

/** Small enough for a request, and for a message of a WebSocket. */
const BOMBS: readonly (readonly [string, string, string])[] = [
  ['one field under many names', `{ ${repeat(2_500, (index) => `a${index}: me`)} }`, 'fields'],
  ['one mutation under many names', `mutation { ${repeat(100, (index) => `a${index}: logout`)} }`, 'rootFields'],
  ['names in names', `{ ${repeat(10, (one) => `a${one}: vms { ${repeat(40, (other) => `b${other}: name`)} }`)} }`, 'aliases'],
  ['fragments that double', `{ ...F0 } ${repeat(150, (index) => `fragment F${index} on Query { ...F${index + 1} ...F${index + 1} }`)} fragment F150 on Query { me }`, 'fields'],
  ['a flood of fragments', `{ me } ${repeat(1_000, (index) => `fragment F${index} on Query { me }`)}`, 'fragments'],
  ['fragments in a chain', `{ ...F0 } ${repeat(900, (index) => `fragment F${index} on Query { me ...F${index + 1} }`)} fragment F900 on Query { me }`, 'fragments'],
  ['one field many times', `{ vms { ${'name '.repeat(1_900)} } }`, 'repeats'],
  ['a flood of directives', `{ me ${'@include(if: true) '.repeat(1_200)} }`, 'directives'],
  ['a flood of variables', `query (${repeat(2_000, (index) => `$a${index}: Int`)}) { me }`, 'variables'],
  ['objects in objects', nested(4_000, '{ me ', '}'), 'nesting'],
  ['fields in fields', nested(40, '{ vms ', '}'), 'depth'],
  ['lists in lists', `{ vm(id: ${nested(4_900, '[', ']')}) { id } }`, 'nesting'],
  ['tokens', `{ ${'me '.repeat(20_000)} }`, 'tokens'],
];

describe('what is small to write and large to plan', () => {
  it.each(BOMBS)('is refused within milliseconds over HTTP: %s', async (_what, query, limit) => {
    const begun = performance.now();
    const { status, errors } = await fixture.query(query, { token });
    expect(performance.now() - begun).toBeLessThan(500); // of a machine that does other things, too
    expect(errors).toMatchObject([{ message: expect.stringContaining(`(limit "${limit}")`), extensions: { code: 'GRAPHQL_VALIDATION_FAILED' } }]);
    expect([200, 400]).toContain(status);
    expect(fixture.world.fetches).toEqual([]);
  });

  it.each(BOMBS)('is refused over a WebSocket: %s', async (_what, query, limit) => {
    const received = (await connect(token)).subscribe(query);
    expect(await received.code()).toBe('GRAPHQL_VALIDATION_FAILED');
    expect(received.error?.[0]?.message).toContain(`(limit "${limit}")`);
  });

  it('is refused in variables', async () => {
    const wide = Array.from({ length: 10_000 }, () => 'x');
    const query = 'query ($filter: VmFilter) { vms(filter: $filter) { id } }';
    const written = await fetch(`${fixture.gateway.url}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
      body: `{"query":${JSON.stringify(query)},"variables":{"filter":${nested(20_000, '[', ']')}}}`,
    });
    expect(await written.json()).toMatchObject({ errors: [{ message: expect.stringContaining('(limit "nesting")'), extensions: { code: 'BAD_USER_INPUT' } }] });
    expect((await fixture.query(query, { token, variables: { filter: { search: wide } } })).errors).toMatchObject([{ extensions: { code: 'BAD_USER_INPUT' } }]);
  });
});

it('takes one operation a request, not a batch of them', async () => {
  const response = await fetch(`${fixture.gateway.url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
    body: JSON.stringify([{ query: '{ me }' }, { query: '{ me }' }]),
  });
  expect(response.status).toBe(400);
  const { errors } = (await response.json()) as { errors: { message: string; extensions: { code: string } }[] };
  expect(errors).toMatchObject([{ message: expect.stringMatching(/batch|array|one operation/i), extensions: { code: 'BAD_REQUEST' } }]);
});

describe('strangers', () => {
  it('get what is for everyone, and the rest is null', async () => {
    const { data, errors } = await fixture.query('{ requestId operation(id: "1") { id } }');
    expect(data).toEqual({ requestId: expect.any(String), operation: null });
    expect(errors).toMatchObject([{ path: ['operation'], message: 'Sign in first: this field needs an access token.', extensions: { code: 'UNAUTHENTICATED' } }]);
    expect(fixture.world.fetches.map(({ subgraph }) => subgraph)).toEqual(['identity']);
  });

  it('cost no subgraph anything with what is not for them', async () => {
    expect((await fixture.query('{ me vms { id } }')).errors).toHaveLength(2);
    expect((await fixture.query('mutation { logout }')).errors).toMatchObject([{ path: ['logout'], extensions: { code: 'UNAUTHENTICATED' } }]);
    expect(fixture.world.fetches).toEqual([]);
  });

  it('are told what is wrong, and not what would be right', async () => {
    expect((await fixture.query('{ requestI }')).errors[0]?.message).toBe('Cannot query field "requestI" on type "Query".');
    expect((await fixture.query('{ requestI }', { token })).errors[0]?.message).toContain('Did you mean "requestId"');
    const stranger = await connect();
    const received = stranger.subscribe('{ requestI }');
    await received.code();
    expect(received.error?.[0]?.message).toBe('Cannot query field "requestI" on type "Query".');
  });

  it('subscribe to nothing', async () => {
    const client = await connect();
    expect(await client.subscribe('subscription { vmChanged { cursor } }').code()).toBe('UNAUTHENTICATED');
  });
});

it('who has signed in and holds no permission subscribes to nothing either', async () => {
  const client = await connect(nobody);
  expect(await client.subscribe('subscription { vmChanged { cursor } }').code()).toBe('FORBIDDEN');
  const response = await fetch(`${fixture.gateway.url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'text/event-stream', authorization: `Bearer ${nobody}` },
    body: JSON.stringify({ query: 'subscription { hostMetrics { cpu } }' }),
  });
  expect(await response.text()).toContain('FORBIDDEN');
});

it('the schema is shown to the role that may read it', async () => {
  const query = getIntrospectionQuery();
  expect((await fixture.query(query)).errors).toMatchObject([{ extensions: { code: 'UNAUTHENTICATED' } }]);
  expect((await fixture.query(query, { token: nobody })).errors).toMatchObject([{ message: 'You may not read the schema.', extensions: { code: 'FORBIDDEN' } }]);
  expect((await fixture.query(query, { token })).data).toMatchObject({ __schema: {} });
  expect((await fixture.query('{ __typename }')).data).toEqual({ __typename: 'Query' });
});

it('what costs too much is refused with its estimate and the maximum', async () => {
  const { errors } = await fixture.query(`{ ${repeat(46, (index) => `a${index}: vms { id host { id } }`)} }`, { token });
  expect(errors).toMatchObject([{ message: expect.stringMatching(/estimated to cost \d+ points, and 500 is the maximum/), extensions: { code: 'BAD_USER_INPUT', requestId: expect.any(String) } }]);
  expect(fixture.world.fetches).toEqual([]);
});

describe('the graph of NovaCron', async () => {
  const supergraph = loadSupergraph(await readFile(new URL('../supergraph.graphql', import.meta.url), 'utf8'));
  const { apiSchema, authorization, costs } = supergraph;

  it('is open to strangers where they sign in or spend what was mailed to them, and nowhere else', () => {
    const roots = [apiSchema.getQueryType(), apiSchema.getMutationType(), apiSchema.getSubscriptionType()].filter((type) => type != null);
    const open = roots.flatMap((type) => Object.keys(type.getFields()).filter((field) => authorization.isOpen(type, field)));
    expect(open.toSorted()).toEqual(['acceptInvitation', 'confirmEmailChange', 'login', 'refreshSession', 'register', 'requestPasswordReset', 'resetPassword', 'verifyEmail']);
  });

  it.each([
    ['a simple query', '{ me { id } }', 1],
    ['50 VMs', '{ vms(first: 50) { edges { node { id name } } } }', 51],
    ['50 VMs with what belongs to them', '{ vms { edges { node { id volumes { id } nics { mac } host { name } } } totalCount } }', 1 + 50 * (1 + 2 + 2 + 1) + 1],
    ['the history of a VM', '{ vm(id: "1") { metricsHistory(from: "2026-01-01T00:00:00Z") { at cpu } } }', 1 + 10],
    ['a mutation', 'mutation { startVm(id: "1") { operation { id } } }', 10 + 2],
    ['a dear mutation', 'mutation { setHostMaintenance(id: "1", on: true) { operation { id } } }', 10 + 50 + 1],
  ])('costs for %s what it should', (_what, query, points) => {
    const document = parse(query);
    expect(validate(apiSchema, document)).toEqual([]);
    const operation = getOperationAST(document) as OperationDefinitionNode; // there is one in each
    expect(costs.estimate(document, operation, {})).toBe(points);
  });
});
