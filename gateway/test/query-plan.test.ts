import { afterAll, beforeAll, expect, it } from 'vitest';
import { startGateway, type Fixture } from './gateway-fixture.ts';

let fixture: Fixture;
let admin: string;
let member: string;

beforeAll(async () => {
  fixture = await startGateway();
  admin = fixture.authority.signIn([['platform_admin', fixture.tenant]]).token;
  member = fixture.authority.signIn([['tenant_admin', fixture.tenant]]).token;
});
afterAll(() => fixture?.close());

async function ask(body: unknown, { token, headers = {} }: { token?: string; headers?: Record<string, string> } = {}) {
  const response = await fetch(`${fixture.gateway.url}/graphql/plan`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...(token === undefined ? {} : { authorization: `Bearer ${token}` }), ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
  return { status: response.status, answer: (await response.json()) as { plan?: unknown; text?: string; errors?: { extensions: { code: string } }[] } };
}
const refusal = async (...asked: Parameters<typeof ask>) => {
  const { status, answer } = await ask(...asked);
  return [status, answer.errors?.[0]?.extensions.code];
};

it('a platform administrator is shown how an operation would be run, and it is not', async () => {
  const { status, answer } = await ask({ query: 'query ($id: ID!) { vm(id: $id) { name createdBy { email } } }' }, { token: admin });
  expect(status).toBe(200);
  expect(answer.plan).toEqual({
    does: 'sequence',
    steps: [
      { does: 'fetch', subgraph: 'vms', path: null, operation: expect.stringMatching(/^query \(\$id: ID!\) \{\n {2}vm\(id: \$id\) \{/) },
      { does: 'fetch', subgraph: 'identity', path: 'vm.createdBy', operation: expect.stringContaining('... on User {\n      email') },
    ],
  });
  expect(answer.text).toContain('Flatten(path: "vm.createdBy")');
  expect(fixture.world.fetches).toEqual([]);
});

it.each([
  ['a condition', 'query ($with: Boolean!) { vms { name createdBy { email @include(if: $with) } } }', '"does":"if","variable":"with"'],
  ['a subscription', 'subscription { vmChanged { vm { name createdBy { email } } } }', '"does":"subscribe"'],
])('%s is part of the plan', async (_what, query, part) => {
  const { answer } = await ask({ query }, { token: admin });
  expect(JSON.stringify(answer)).toContain(part);
});

it('nobody else is', async () => {
  const query = '{ __typename }';
  expect(await refusal({ query })).toEqual([401, 'UNAUTHENTICATED']);
  expect(await refusal({ query }, { token: member })).toEqual([403, 'FORBIDDEN']);
  expect(await refusal({ query: '{ nonsense' }, { token: member })).toEqual([403, 'FORBIDDEN']);
});

it('what can not be planned is refused as by the graph', async () => {
  expect(await refusal({ query: '{ nonsense }' }, { token: admin })).toEqual([400, 'GRAPHQL_VALIDATION_FAILED']);
  expect(await refusal({ query: '{' }, { token: admin })).toEqual([400, 'GRAPHQL_PARSE_FAILED']);
  expect(await refusal({}, { token: admin })).toEqual([400, 'BAD_REQUEST']);
  expect(await refusal('{ __typename }', { token: admin, headers: { 'content-type': 'text/plain' } })).toEqual([415, 'BAD_REQUEST']);
});
