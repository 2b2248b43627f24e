import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { startGateway, type Fixture } from './gateway-fixture.ts';
import { watchers } from './watchers.ts';

let fixture: Fixture;
let token: string;
const { closeAll, connect } = watchers(() => fixture);

beforeAll(async () => {
  fixture = await startGateway();
  token = fixture.authority.signIn([['operator', fixture.tenant]]).token;
});
afterAll(() => fixture.close());
afterEach(closeAll);

/** 2^count fields in as many lines. */
const fragments = (count: number, last: string, type: string) =>
  Array.from({ length: count }, (_, index) => {
    const next = index === count - 1 ? last : `...F${index + 1}`;
    return `fragment F${index} on ${type} { ... { ${next} } ... { ${next} } }`;
  }).join('\n');
const query = `{ ...F0 }\n${fragments(20, 'requestId', 'Query')}`;
const subscription = `subscription { vmChanged { vm { ...F0 } } }\n${fragments(20, 'createdBy { email }', 'Vm')}`;

it('a document that fragments blow up is refused over HTTP before it is planned', async () => {
  const begun = performance.now();
  const { errors } = await fixture.query(query, { token });
  expect(errors).toMatchObject([{ message: expect.stringContaining('more than 2000 fields'), extensions: { code: 'GRAPHQL_VALIDATION_FAILED', retryable: false } }]);
  const get = await fetch(`${fixture.gateway.url}/graphql?query=${encodeURIComponent(query)}`, { headers: { 'apollo-require-preflight': 'yes' } });
  expect(await get.json()).toMatchObject({ errors: [{ extensions: { code: 'GRAPHQL_VALIDATION_FAILED' } }] });
  expect(performance.now() - begun).toBeLessThan(2_000);
});

it.each([['query', query], ['subscription', subscription]])('a %s that fragments blow up is refused over a WebSocket before it is planned', async (_what, text) => {
  const client = await connect(token);
  const received = client.subscribe(text);
  expect(await received.code()).toBe('GRAPHQL_VALIDATION_FAILED');
  expect(received.error?.[0]?.message).toContain('more than 2000 fields');
});
