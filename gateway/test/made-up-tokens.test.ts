import { newId } from '@novacron/core';
import { eventually } from '@novacron/testkit';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { UNLIMITED } from '../src/rate-limits/settings.ts';
import { startGateway, type Fixture } from './gateway-fixture.ts';
import { SocketClient } from './socket-client.ts';

let fixture: Fixture;
const clients: SocketClient[] = [];
beforeAll(async () => {
  fixture = await startGateway({ options: { rateLimits: { ...UNLIMITED, pointsPerMinute: 200 }, trustedProxies: ['127.0.0.1/32'] } });
});
afterAll(() => fixture?.close());
afterEach(() => Promise.all(clients.splice(0).map((client) => client.close())));

async function ask(query: string, { token, address }: { token?: string; address: string }) {
  const response = await fetch(`${fixture.gateway.url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-forwarded-for': address, ...(token ? { authorization: `Bearer ${token}` } : {}) },
    body: JSON.stringify({ query }),
  });
  const { errors = [] } = (await response.json()) as { errors?: { extensions: { code: string } }[] };
  return { status: response.status, codes: errors.map(({ extensions }) => extensions.code), header: (name: string) => response.headers.get(name) };
}

async function connect(token: string, address: string): Promise<SocketClient> {
  const client = await SocketClient.connect(fixture.gateway.url, token, { headers: { 'x-forwarded-for': address } });
  clients.push(client);
  return client;
}

describe('API tokens', () => {
  it('that are made up are looked up no oftener than their address may ask', async () => {
    const address = '198.51.100.25';
    const madeUp = () => ask('{ __typename }', { address, token: `nc_${newId()}` });
    expect((await madeUp()).codes).toEqual(['UNAUTHENTICATED']);
    const refused = await eventually('one to be refused without a look', async () => {
      const before = fixture.authority.asked;
      const answers = await Promise.all(Array.from({ length: 50 }, madeUp));
      return fixture.authority.asked === before && answers;
    });
    expect(new Set(refused.map(({ status, codes }) => `${status} ${codes[0]}`))).toEqual(new Set(['429 RATE_LIMITED']));
    expect(refused[0]?.header('retry-after')).toMatch(/^\d+$/);
  });

  it('that are made up are no cheaper over a socket', async () => {
    const address = '198.51.100.27';
    const madeUp = () => connect(`nc_${newId()}`, address);
    expect((await madeUp()).closed).toEqual({ code: 4403, reason: 'Invalid token' });
    expect((await ask('{ __typename }', { address })).header('ratelimit')).toMatch(/^"api";r=198;/);
    const refused = await eventually('one to be refused without a look', async () => {
      await Promise.all(Array.from({ length: 50 }, () => ask('{ __typename }', { address, token: `nc_${newId()}` })));
      const before = fixture.authority.asked;
      const { closed } = await madeUp();
      return fixture.authority.asked === before && closed;
    });
    expect(refused).toEqual({ code: 1013, reason: expect.stringMatching(/^Too much was asked for within a minute/) });
  });

  it('that are known cost their address nothing more', async () => {
    const address = '198.51.100.26';
    const { token } = fixture.authority.signIn([['operator', fixture.tenant]], 600_000, undefined, 0, 'nc_');
    for (let count = 0; count < 3; count += 1) expect((await ask('{ __typename }', { address, token })).status).toBe(200);
    expect((await ask('{ __typename }', { address })).header('ratelimit')).toMatch(/^"api";r=198;/);
  });
});
