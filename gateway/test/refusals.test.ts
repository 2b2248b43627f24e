import type { Asker, Deed, Ending } from '@novacron/audit';
import { eventually } from '@novacron/testkit';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { startGateway, type Fixture } from './gateway-fixture.ts';
import { SocketClient } from './socket-client.ts';

type Told = Asker & Deed & Ending;

let fixture: Fixture;
const told: Told[] = [];

beforeAll(async () => {
  fixture = await startGateway({ options: { audit: { refused: (asker, deed, ending) => void told.push({ ...asker, ...deed, ...ending }) } } });
});
afterAll(() => fixture?.close());
beforeEach(() => void told.splice(0));

const STRANGER = { userId: null, credentialId: null, credential: null, address: '127.0.0.1', outcome: 'DENIED', code: 'UNAUTHENTICATED' };

describe('the audit is told', () => {
  it.each(['Bearer nobody', 'Basic x'])('of a token that is no good: %s', async (authorization) => {
    await fixture.query('{ me }', { headers: { authorization, 'x-request-id': 'mine', 'user-agent': 'test' } });
    expect(told).toMatchObject([{ ...STRANGER, kind: 'ACCESS', action: 'authenticate', requestId: 'mine', userAgent: 'test' }]);
  });

  it('of one that comes by a WebSocket', async () => {
    await SocketClient.connect(fixture.gateway.url, 'nobody').catch(() => undefined);
    await eventually('the refusal', () => told.length > 0);
    expect(told).toMatchObject([{ ...STRANGER, action: 'authenticate' }]);
  });

  it('of fields that strangers ask for', async () => {
    await fixture.query('{ me }');
    expect(told).toMatchObject([{ ...STRANGER, kind: 'ACCESS', action: 'me' }]);
  });

  it('of what strangers ask REST for', async () => {
    await fetch(`${fixture.gateway.url}/api/v1/me`);
    expect(told).toMatchObject([{ ...STRANGER, kind: 'ACCESS', action: 'me' }]);
  });

  it('of subscriptions', async () => {
    const client = await SocketClient.connect(fixture.gateway.url);
    await client.subscribe('subscription { vmChanged { type } }').code();
    client.socket.terminate();
    expect(told).toMatchObject([{ ...STRANGER, kind: 'ACCESS', action: 'vmChanged' }]);
  });

  it('of mutations, with what they were to do to what', async () => {
    await fixture.query('mutation ($id: ID!) { first: startVm(id: $id) { vm { id } } startVm(id: "other") { vm { id } } }', { variables: { id: 'one' } });
    const mutation = { ...STRANGER, kind: 'MUTATION', action: 'startVm', targetType: 'Vm' };
    expect(told).toMatchObject([
      { ...mutation, targetId: 'one', arguments: { id: 'one' } },
      { ...mutation, targetId: 'other', arguments: { id: 'other' } },
    ]);
  });

  it('of who may not see how operations are planned', async () => {
    const { token, viewer } = fixture.authority.signIn([['operator', fixture.tenant]]);
    await fetch(`${fixture.gateway.url}/graphql/plan`, { method: 'POST', headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` }, body: '{"query":"{ me }"}' });
    expect(told).toMatchObject([{ userId: viewer.userId, credentialId: viewer.sessionId, credential: 'SESSION', tenantId: fixture.tenant, action: 'queryPlan', outcome: 'DENIED', code: 'FORBIDDEN' }]);
  });

  it('of who may not read the schema', async () => {
    const closed = await startGateway({ options: { introspection: 'platform_admin', audit: { refused: (asker, deed, ending) => void told.push({ ...asker, ...deed, ...ending }) } } });
    await closed.query('{ __schema { queryType { name } } }');
    await closed.close();
    expect(told).toMatchObject([{ ...STRANGER, kind: 'ACCESS', action: '__schema' }]);
  });

  it('of nothing that is answered', async () => {
    const { token } = fixture.authority.signIn([['operator', fixture.tenant]]);
    const { errors } = await fixture.query('{ me }', { token });
    expect(errors).toEqual([]);
    expect(told).toEqual([]);
  });
});
