import { request } from 'node:http';
import { newId, type UserId } from '@novacron/core';
import { eventually } from '@novacron/testkit';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { createGateway, type Gateway } from '../src/gateway.ts';
import type { RateLimitSettings } from '../src/rate-limits/settings.ts';
import { startGateway, type Fixture } from './gateway-fixture.ts';
import { SocketClient } from './socket-client.ts';

const LIMITS: RateLimitSettings = {
  loginsPerMinute: 5,
  registrationsPerMinute: 3,
  pointsPerMinute: 200,
  connectionsPerUser: 3,
  connectionsPerAddress: 5,
  subscriptionsPerConnection: 4,
  subscriptionsPerUser: 6,
  subscriptionsPerTenant: 8,
};

let fixture: Fixture;
/** Another one, on the same Redis. */
let other: Gateway;
const clients: SocketClient[] = [];
/** What the VMs' service waits for. */
let serviceFree = Promise.resolve();

beforeAll(async () => {
  fixture = await startGateway({
    options: { rateLimits: LIMITS, trustedProxies: ['127.0.0.1/32'] },
    dataSources: ({ vms, ...sources }) => ({ ...sources, ...(vms && { vms: { ...vms, process: (asked) => serviceFree.then(() => vms.process(asked)) } }) }),
  });
  other = await createGateway({ ...fixture.options, trustedProxies: [] });
});
afterAll(async () => {
  await other.close();
  await fixture.close();
});
afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.close()));
  await fixture.redis.del('-', ...(await fixture.redis.keys('novacron.limit:*'))); // what is held is known by its gateway
});

const signIn = (userId?: UserId) => fixture.authority.signIn([['operator', fixture.tenant]], 600_000, userId).token;

/** What came of a request from behind the proxy that this machine is; from this machine where no address is given. */
async function ask(query: string, { token, address, accept = 'application/json', variables }: { token?: string; address?: string; accept?: string; variables?: object } = {}) {
  const response = await fetch(`${fixture.gateway.url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept, ...(token ? { authorization: `Bearer ${token}` } : {}), ...(address ? { 'x-forwarded-for': address } : {}) },
    body: JSON.stringify({ query, variables }),
  });
  const { errors = [] } = (await response.json()) as { errors?: { message: string; extensions: { code: string; retryable: boolean } }[] };
  const header = (name: string) => response.headers.get(name);
  return { status: response.status, codes: errors.map(({ extensions }) => extensions.code), errors, header };
}

async function connect(token: string, url = fixture.gateway.url, address = '198.51.100.1'): Promise<SocketClient> {
  const client = await SocketClient.connect(url, token, { headers: { 'x-forwarded-for': address } });
  clients.push(client);
  return client;
}

describe('points', () => {
  it('are said with every answer, one for a simple query', async () => {
    const token = signIn();
    const first = await ask('{ __typename }', { token });
    expect([first.header('ratelimit-policy'), first.header('ratelimit'), first.header('retry-after')]).toEqual(['"api";q=200;w=60', expect.stringMatching(/^"api";r=199;t=(60|61)$/), null]);
    expect((await ask('{ nonsense', { token })).header('ratelimit')).toMatch(/^"api";r=198;/);
    expect((await ask('{ __typename }', { token: signIn() })).header('ratelimit')).toMatch(/^"api";r=199;/);
  });

  it('are what an answer shows, not what its operation might have cost', async () => {
    const token = signIn();
    fixture.world.addVm(fixture.tenant);
    const answered = await ask('{ vms { id host { name } } }', { token });
    expect(answered.codes).toEqual([]);
    const left = Number(/r=(\d+)/.exec(answered.header('ratelimit') ?? '')?.[1]);
    expect(left).toBeGreaterThan(190);
    expect((await ask('{ __typename }', { token })).header('ratelimit')).toMatch(new RegExp(`^"api";r=${left - 1};`));
  });

  it('are refused by 429 under both media types when they are used up, in REST too', async () => {
    const token = signIn();
    const asked = await Promise.all(Array.from({ length: 230 }, () => ask('{ __typename }', { token })));
    expect(asked.filter(({ status }) => status === 200)).toHaveLength(200);
    for (const accept of ['application/json', 'application/graphql-response+json']) {
      const refused = await ask('{ __typename }', { token, accept });
      expect(refused.status).toBe(429);
      expect(refused.errors).toMatchObject([{ message: expect.stringMatching(/^Too much was asked for within a minute: try again in \d\d s\.$/), extensions: { code: 'RATE_LIMITED', retryable: true } }]);
      expect(Number(refused.header('retry-after'))).toBeGreaterThan(50);
      expect(refused.header('ratelimit')).toBe(`"api";r=0;t=${refused.header('retry-after')}`);
    }
    const rest = await fetch(`${fixture.gateway.url}/api/v1/vms`, { headers: { authorization: `Bearer ${token}` } });
    expect([rest.status, await rest.json()]).toMatchObject([429, { code: 'RATE_LIMITED' }]);
    expect([rest.headers.get('ratelimit-policy'), Number(rest.headers.get('retry-after')) > 50]).toEqual(['"api";q=200;w=60', true]);
    const client = await connect(token);
    expect(await client.subscribe('{ __typename }').code()).toBe('RATE_LIMITED');
    expect(await fixture.metric('novacron_rate_limited_total{limit="api"}')).toBeGreaterThanOrEqual(34);
  });

  it("are the address' where nobody stands behind a request, a token that is no good included", async () => {
    const address = '198.51.100.20';
    await ask('{ __typename }', { address });
    expect((await ask('{ __typename }', { address, token: 'nonsense' })).status).toBe(401);
    expect((await ask('{ __typename }', { address })).header('ratelimit')).toMatch(/^"api";r=197;/);
    expect((await ask('{ __typename }', { address: '198.51.100.21' })).header('ratelimit')).toMatch(/^"api";r=199;/);
  });

  it('are charged for a subscription, as what it is estimated to tell each time', async () => {
    const token = signIn();
    const client = await connect(token);
    const wide = `subscription { vmChanged { vm { ${Array.from({ length: 151 }, (_, index) => `a${index}: id`).join(' ')} } } }`;
    client.subscribe(wide);
    expect(await client.subscribe(wide).code()).toBe('RATE_LIMITED');
    expect((await ask('{ __typename }', { token })).codes).toEqual([]); // there is a rest
  });

  it('are not charged for what is refused before it runs', async () => {
    const token = signIn();
    const refused = await ask('query ($id: ID!) { vm(id: $id) { id host { name } } }', { token, variables: { id: { no: 'id' } } });
    expect(refused.codes).toEqual(['BAD_USER_INPUT']);
    expect((await ask('{ __typename }', { token })).header('ratelimit')).toMatch(/^"api";r=198;/);
  });
});

describe('the estimate stays', () => {
  const left = async (token: string) => Number(/r=(\d+)/.exec((await ask('{ __typename }', { token })).header('ratelimit') ?? '')?.[1]);
  /** 10 VMs, as far as is known before. */
  const QUERY = '{ vms { id host { name } } hosts(first: 1, after: "no cursor") { totalCount } }';

  it('of what was asked for beside something that had to fail', async () => {
    const token = signIn();
    expect((await ask(QUERY, { token })).codes).toContain('BAD_USER_INPUT');
    expect(await left(token)).toBeLessThan(180);
  });

  it('of a query whose client has not waited', async () => {
    const token = signIn();
    const gone = new AbortController();
    const service = Promise.withResolvers<void>();
    serviceFree = service.promise;
    const body = JSON.stringify({ query: '{ vms { id host { name } } }' });
    const asked = fetch(`${fixture.gateway.url}/graphql`, { method: 'POST', signal: gone.signal, headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` }, body }).catch(() => null);
    await eventually('it is under way', async () => (await fixture.metric('novacron_graphql_operations_in_flight')) === 1);
    gone.abort();
    expect(await asked).toBeNull();
    await eventually('it is given up', async () => (await fixture.metric('novacron_graphql_operations_in_flight')) === 0);
    service.resolve();
    expect(await left(token)).toBeLessThan(180);
  });
});

describe('the address of a client', () => {
  const from = async (url: string, forwarded: string) => {
    const response = await fetch(`${url}/graphql`, { method: 'POST', headers: { 'content-type': 'application/json', 'x-forwarded-for': forwarded }, body: JSON.stringify({ query: '{ __typename }' }) });
    return /r=(\d+)/.exec(response.headers.get('ratelimit') ?? '')?.[1];
  };

  it('is what a trusted proxy says, whatever the client wrote before it', async () => {
    expect(await from(fixture.gateway.url, '203.0.113.1')).toBe('199');
    expect(await from(fixture.gateway.url, '198.51.100.66, 203.0.113.1')).toBe('198');
    expect(await from(fixture.gateway.url, '203.0.113.2')).toBe('199');
  });

  it('is where it connects from, unless that is a trusted proxy', async () => {
    expect(await from(other.url, '203.0.113.3')).toBe('199');
    expect(await from(other.url, '203.0.113.4')).toBe('198');
  });
});

describe('attempts to sign in', () => {
  const login = (email: string) => `login(input: { email: "${email}", password: "x" }) { accessToken }`;
  const nobody = () => `${newId()}@example.test`;

  it('are refused after five, by address', async () => {
    const address = '198.51.100.30';
    const asked = [];
    for (let count = 0; count < 6; count += 1) asked.push(await ask(`mutation { ${login(nobody())} }`, { address }));
    expect(asked.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200, 429]);
    const last = asked[5];
    expect(last?.errors[0]?.message).toMatch(/^Too many attempts to sign in within a minute: try again in \d\d s\.$/);
    expect(last?.header('ratelimit-policy')).toBe('"api";q=200;w=60, "login";q=5;w=60');
    expect(last?.header('retry-after')).toMatch(/^\d\d$/);
    expect((await ask(`mutation { ${login(nobody())} }`, { address: '198.51.100.31' })).status).toBe(200);
  });

  it('are refused after five, over whatever way they come', async () => {
    const client = await connect(signIn(), fixture.gateway.url, '198.51.100.43');
    const rest = () =>
      fetch(`${fixture.gateway.url}/api/auth/login`, { method: 'POST', headers: { 'content-type': 'application/json', 'x-forwarded-for': '198.51.100.43' }, body: JSON.stringify({ email: nobody(), password: 'x' }) });
    const post = () => ask(`mutation { ${login(nobody())} }`, { address: '198.51.100.43' });
    for (const way of [rest, post]) expect((await way()).status).not.toBe(429);
    const answered = client.subscribe(`mutation { one: ${login(nobody())} two: ${login(nobody())} three: ${login(nobody())} }`);
    await answered.until(1);
    expect(answered.payloads[0]?.errors?.map(({ extensions }) => extensions['code'])).not.toContain('RATE_LIMITED');
    const refused = await rest();
    expect([refused.status, refused.headers.has('retry-after')]).toEqual([429, true]);
    expect((await post()).status).toBe(429);
    const late = client.subscribe(`mutation { ${login(nobody())} }`);
    await late.until(1);
    expect(late.payloads[0]?.errors?.[0]?.extensions['code']).toBe('RATE_LIMITED');
  });

  it('on one account from many addresses are not the gateway\'s to count: its owner would be locked out', async () => {
    const email = nobody();
    for (let index = 0; index < 7; index += 1) expect((await ask(`mutation { ${login(email)} }`, { address: `198.51.101.${index}` })).status).toBe(200);
  });
});

describe('connections', () => {
  it('of one user are three, in all gateways; who is refused may come back', async () => {
    const token = signIn();
    const held = [await connect(token), await connect(token, other.url), await connect(token)];
    const refused = await connect(token, other.url);
    expect(await refused.untilClosed()).toEqual({ code: 1013, reason: 'One user holds at most 3 connections at once: try again in 10 s.' });
    await connect(signIn());
    await held[1]?.close();
    const again = await eventually('a place to be free', async () => {
      const client = await connect(token);
      return client.acknowledged && client;
    });
    expect(again.closed).toBeNull();
    const events = await fetch(`${other.url}/graphql?query=${encodeURIComponent('subscription { vmChanged { vm { id } } }')}`, { headers: { accept: 'text/event-stream', authorization: `Bearer ${token}` } });
    expect([events.status, events.headers.get('retry-after')]).toEqual([429, '10']);
  });

  it('of an event stream count as well', async () => {
    const token = signIn();
    const limit = new AbortController();
    const open = () => fetch(`${fixture.gateway.url}/graphql?query=${encodeURIComponent('subscription { vmChanged { vm { id } } }')}`, { headers: { accept: 'text/event-stream', authorization: `Bearer ${token}` }, signal: limit.signal });
    const streams = await Promise.all([open(), open(), open()]);
    expect(streams.map(({ status, headers }) => [status, headers.get('ratelimit-policy')])).toEqual(Array.from({ length: 3 }, () => [200, '"api";q=200;w=60']));
    expect((await open()).status).toBe(429);
    const refused = await connect(token);
    expect((await refused.untilClosed()).code).toBe(1013);
    limit.abort();
    await eventually('the places to be free', async () => (await connect(token)).acknowledged);
  });

  /** The status of the answer to an upgrade that says nothing more. */
  const upgrade = (address: string) =>
    new Promise<{ status: number | undefined; retryAfter: string | undefined; end(): void }>((resolve, reject) => {
      const asked = request(`${fixture.gateway.url}/graphql`, {
        headers: { connection: 'Upgrade', upgrade: 'websocket', 'sec-websocket-version': '13', 'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==', 'sec-websocket-protocol': 'graphql-transport-ws', 'x-forwarded-for': address },
      });
      asked.on('upgrade', ({ statusCode }, socket) => {
        socket.on('error', () => {}); // it is cut
        resolve({ status: statusCode, retryAfter: undefined, end: () => socket.destroy() });
      });
      asked.on('response', (response) => {
        response.resume();
        resolve({ status: response.statusCode, retryAfter: response.headers['retry-after'], end: () => {} });
      });
      asked.on('error', reject);
      asked.end();
    });

  it('of an address are five, where nobody has signed in', async () => {
    const asked = await Promise.all(Array.from({ length: 8 }, () => upgrade('2001:db8::1')));
    expect(asked.map(({ status }) => status).toSorted()).toEqual([101, 101, 101, 101, 101, 429, 429, 429]);
    expect(asked.find(({ status }) => status === 429)?.retryAfter).toBe('10');
    const elsewhere = await upgrade('2001:db8:0:1::1');
    expect(elsewhere.status).toBe(101);
    for (const { end } of [...asked, elsewhere]) end();
    await eventually('the places to be free', async () => {
      const one = await upgrade('2001:db8::2');
      one.end();
      return one.status === 101;
    });
  });

  it("of users who have signed in leave their address' places to others", async () => {
    for (let count = 0; count < 8; count += 1) expect((await connect(signIn(), fixture.gateway.url, '198.51.100.50')).acknowledged).not.toBeNull();
  });
});

describe('subscriptions', () => {
  const SUBSCRIPTION = 'subscription { vmChanged { vm { id } } }';
  const live = (count: number) => eventually(`${count} subscriptions`, async () => (await fixture.metric('novacron_subscriptions_active')) === count);

  it('are limited by connection, by user and by tenant', async () => {
    const userId = newId<UserId>();
    const first = await connect(signIn(userId));
    for (let count = 0; count < 4; count += 1) first.subscribe(SUBSCRIPTION);
    await live(4);
    expect(await first.subscribe(SUBSCRIPTION).code()).toBe('RATE_LIMITED');
    const second = await connect(signIn(userId));
    second.subscribe(SUBSCRIPTION);
    second.subscribe(SUBSCRIPTION);
    await live(6);
    const another = await connect(signIn(userId));
    expect(await another.subscribe(SUBSCRIPTION).code()).toBe('RATE_LIMITED');
    const third = await connect(signIn());
    third.subscribe(SUBSCRIPTION);
    third.subscribe(SUBSCRIPTION);
    await live(8);
    expect(await third.subscribe(SUBSCRIPTION).code()).toBe('RATE_LIMITED');
    await first.close();
    await live(4);
    third.subscribe(SUBSCRIPTION);
    await live(5);
  });

  it('that can not begin leave their place', async () => {
    const client = await connect(signIn());
    for (let count = 0; count < 12; count += 1) {
      const code = await client.subscribe('subscription { vmChanged(after: "nonsense") { vm { id } } }').code();
      expect(code).not.toBe('RATE_LIMITED');
    }
  });
});
