import { HOST_METRICS_CHANNEL, VM_METRICS_CHANNEL, type HostSample } from '@novacron/contracts';
import { newId, type HostId, type MigrationId, type OperationId, type TenantId } from '@novacron/core';
import { decodeCursor, encodeCursor } from '@novacron/supergraph';
import { eventually } from '@novacron/testkit';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { UNLIMITED } from '../src/rate-limits/settings.ts';
import { startGateway, type Fixture } from './gateway-fixture.ts';
import { PlainClient } from './plain-client.ts';
import { vmSample } from './samples.ts';
import { watchers } from './watchers.ts';

let fixture: Fixture;
let token: string;
const clients: PlainClient[] = [];
const { change } = watchers(() => fixture);

beforeAll(async () => {
  fixture = await startGateway({ options: { allowedOrigins: ['https://dashboard.example'] } });
  ({ token } = fixture.authority.signIn([['operator', fixture.tenant]]));
});
afterAll(() => fixture.close());
afterEach(async () => {
  for (const client of clients) client.socket.terminate();
  await Promise.all(clients.splice(0).map((client) => client.untilClosed()));
});

async function open(...options: Parameters<typeof PlainClient.open> extends [string, ...infer Rest] ? Rest : never): Promise<PlainClient> {
  const client = await PlainClient.open(fixture.gateway.url, ...options);
  clients.push(client);
  return client;
}

async function signIn(choice: object = {}, as = token): Promise<PlainClient> {
  const client = await PlainClient.signedIn(fixture.gateway.url, as, choice);
  clients.push(client);
  return client;
}

const names = (client: PlainClient) => client.of('vm.changed').map(({ vm }) => vm.name);

describe('a client', () => {
  it.each(['/ws/events/v1', '/api/ws/events/v1'])('signs in at %s with its first message', async (path) => {
    const client = await open({ path });
    client.send({ type: 'auth', token });
    expect(await client.until('ready')).toEqual({ type: 'ready', cursor: encodeCursor(await fixture.log.head()) });
  });

  it('hears of VMs, operations and migrations of its tenants, and of no others', async () => {
    const client = await signIn();
    const vm = fixture.world.addVm(fixture.tenant, { name: 'ours' });
    const foreign = fixture.world.addVm(newId<TenantId>(), { name: 'theirs' });
    change(foreign, {});
    const position = change(vm, { state: 'PAUSED' });
    const operation = { kind: 'vm.pause', state: 'RUNNING' as const, progress: 0.5, targetType: 'Vm', targetId: vm.id, requestedBy: null, error: null };
    const operationId = newId<OperationId>();
    fixture.log.append({ type: 'operation.changed', tenantId: fixture.tenant, entityId: operationId, after: operation });
    fixture.log.append({ type: 'operation.changed', tenantId: null, entityId: newId<OperationId>(), after: operation });
    const migrationId = newId<MigrationId>();
    fixture.log.append({ type: 'migration.changed', tenantId: fixture.tenant, entityId: migrationId, after: { vmId: vm.id, state: 'SWITCHING', progress: 1 } });
    await client.until('migration.changed');
    expect(client.messages.slice(1)).toEqual([
      { type: 'vm.changed', cursor: encodeCursor(position), at: expect.any(String), event: 'vm.changed', vm: { id: vm.id, name: 'ours', state: 'PAUSED', desiredState: 'RUNNING', generation: 2, hostId: vm.hostId, tags: [] } },
      { type: 'operation.changed', cursor: encodeCursor(position + 1), at: expect.any(String), event: 'operation.changed', operation: { id: operationId, ...operation } },
      { type: 'migration.changed', cursor: encodeCursor(position + 3), at: expect.any(String), event: 'migration.changed', migration: { id: migrationId, vmId: vm.id, state: 'SWITCHING', progress: 1 } },
    ]);
  });

  it('chooses events and ids when it signs in, and again later', async () => {
    const [one, other] = [fixture.world.addVm(fixture.tenant, { name: 'one' }), fixture.world.addVm(fixture.tenant, { name: 'other' })];
    const client = await signIn({ events: ['vm.changed'], ids: [one.id.toUpperCase()] });
    change(other, {});
    change(one, {});
    await client.until('vm.changed');
    client.send({ type: 'subscribe', ids: [other.id] });
    await client.until('subscribed');
    change(one, {});
    change(other, {});
    await client.until('vm.changed', 2);
    expect(names(client)).toEqual(['one', 'other']);
  });

  it('that comes back with its last cursor misses nothing and hears nothing twice', async () => {
    const vm = fixture.world.addVm(fixture.tenant, { name: 'a' });
    const first = await signIn({ events: ['vm.changed'] });
    change(vm, { name: 'b' });
    const { cursor } = await first.until('vm.changed');
    first.socket.terminate();
    for (const name of ['c', 'd', 'e']) change(vm, { name });
    const again = await signIn({ events: ['vm.changed'], after: cursor });
    change(vm, { name: 'f' });
    await again.until('vm.changed', 4);
    expect(names(again)).toEqual(['c', 'd', 'e', 'f']);
    again.send({ type: 'subscribe', events: ['vm.changed'], after: cursor });
    await again.until('vm.changed', 8);
    expect(names(again).slice(4)).toEqual(['c', 'd', 'e', 'f']);
  });

  it('is told what is wrong with what it chose, and stays', async () => {
    const client = await signIn();
    client.send({ type: 'subscribe', after: 'nope' });
    expect(await client.until('error')).toMatchObject({ code: 'BAD_USER_INPUT', field: 'after' });
    client.send({ type: 'subscribe', after: encodeCursor(1e9) });
    expect(await client.until('error', 2)).toMatchObject({ code: 'CURSOR_EXPIRED', field: 'after' });
    const vm = fixture.world.addVm(fixture.tenant);
    client.send({ type: 'subscribe' });
    await client.until('subscribed', 2);
    change(vm, {});
    await client.until('vm.changed');
  });

  it('that may read nothing of a kind is told so only where it asked for that', async () => {
    const nobody = fixture.authority.signIn([]).token;
    const client = await signIn({}, nobody);
    client.send({ type: 'subscribe', events: ['vm.changed'] });
    expect(await client.until('error')).toMatchObject({ code: 'FORBIDDEN' });
  });
});

describe('metrics', () => {
  const publish = (...samples: ReturnType<typeof vmSample>[]) => fixture.redis.publish(VM_METRICS_CHANNEL, JSON.stringify(samples));

  it('come with the latest samples first, of VMs that the client may read', async () => {
    const ours = vmSample(fixture.tenant, { cpu: 0.1 });
    await publish(ours, vmSample(newId<TenantId>()));
    const first = await signIn({ events: ['metrics'], ids: [ours.vmId] });
    await eventually('the feed to know the sample', async () => first.of('metrics').length > 0 || (await publish(ours)) === 0);
    const client = await signIn({ events: ['metrics'], ids: [ours.vmId] });
    expect(await client.until('metrics')).toEqual({ type: 'metrics', cursor: expect.any(String), kind: 'vm', vm: ours });
    await publish({ ...ours, cpu: 0.2 });
    expect((await client.until('metrics', 2))['vm'].cpu).toBe(0.2);
  });

  it('of hosts are for those who may read hosts', async () => {
    const value: HostSample = { hostId: newId<HostId>(), at: new Date().toISOString(), cpu: 0.2, memoryUsed: 1, memoryTotal: 2, vmsRunning: 3 };
    const [admin, operator] = [await signIn({ events: ['metrics'] }, fixture.authority.signIn([['platform_admin', fixture.tenant]]).token), await signIn({ events: ['metrics'] })];
    const ours = vmSample(fixture.tenant);
    await fixture.redis.publish(HOST_METRICS_CHANNEL, JSON.stringify([value]));
    await publish(ours);
    const isOurs = (client: PlainClient) => client.of('metrics').some(({ vm }) => vm?.vmId === ours.vmId);
    await eventually('the samples', () => isOurs(admin) && isOurs(operator));
    expect(admin.of('metrics').filter(({ kind }) => kind === 'host')).toEqual([expect.objectContaining({ host: value })]);
    expect(operator.of('metrics').filter(({ kind }) => kind === 'host')).toEqual([]);
  });
});

describe('a client is sent away', () => {
  it('that does not say who it is within five seconds', async () => {
    const begun = performance.now();
    const client = await open();
    expect(await client.untilClosed()).toEqual({ code: 4401, reason: 'Send {"type":"auth","token":...} first' });
    expect(performance.now() - begun).toBeGreaterThan(4_900);
  });

  it.each([
    ['that begins otherwise', { type: 'subscribe' }, 4401],
    ['with a token that is no good', { type: 'auth', token: 'nope' }, 4403],
    ['that says what means nothing', { type: 'hello' }, 4400],
    ['that asks for what is not there', { type: 'auth', token: 'x', events: ['nope'] }, 4400],
    ['that names too many ids', { type: 'auth', token: 'x', ids: Array.from({ length: 201 }, () => 'x') }, 4400],
    ['that says more than there is to say', { type: 'auth', token: 'x', more: 1 }, 4400],
    ['that sends more than 64 kB', { type: 'auth', token: 'x'.repeat(70_000) }, 1009],
  ])('%s', async (_what, message, code) => {
    const client = await open();
    client.send(message);
    expect((await client.untilClosed()).code).toBe(code);
  });

  it('that sends no JSON, and is told so', async () => {
    const client = await open();
    client.socket.send('{');
    expect((await client.untilClosed()).code).toBe(4400);
    expect(client.of('error')).toHaveLength(1);
  });

  it('that says twice who it is', async () => {
    const client = await signIn();
    client.send({ type: 'auth', token });
    expect((await client.untilClosed()).code).toBe(4401);
  });

  it.each([
    ['its session is revoked', 'Session revoked', 600_000, (sessionId: string, userId: string) => fixture.log.append({ type: 'session.revoked', tenantId: null, entityId: sessionId, after: { userId } as never })],
    ['its roles change', 'Access changed', 600_000, (_sessionId: string, userId: string) => fixture.log.append({ type: 'user.access', tenantId: null, entityId: userId as never, after: {} })],
    ['its token expires', 'Token expired', 500, () => undefined],
  ])('when %s', async (_when, reason, lifetimeMs, endIt) => {
    const signed = fixture.authority.signIn([['operator', fixture.tenant]], lifetimeMs);
    const client = await signIn({}, signed.token);
    const begun = performance.now();
    endIt(signed.viewer.sessionId, signed.viewer.userId);
    expect(await client.untilClosed()).toEqual({ code: 4403, reason });
    expect(performance.now() - begun).toBeLessThan(1_000);
  });

  it('that reads too slowly, with a cursor from which nothing is missing', async () => {
    const vm = fixture.world.addVm(fixture.tenant, { name: 'x'.repeat(20_000) });
    const client = await signIn({ events: ['vm.changed'] });
    const start = await fixture.log.head();
    client.socket.pause();
    const cuts = () => fixture.metric('novacron_sockets_cut_slow_total');
    const before = await cuts();
    await eventually('the socket to be cut', async () => {
      for (let count = 0; count < 50; count += 1) change(vm, {});
      return (await cuts()) === before + 1;
    });
    client.socket.resume();
    const { code, reason } = await client.untilClosed();
    expect(code).toBe(4290);
    const after = /^Too slow: resume after (\S+)$/.exec(reason)?.[1] ?? '';
    const again = await signIn({ events: ['vm.changed'], after });
    const head = await fixture.log.head();
    await eventually('the rest', () => decodeCursor(again.of('vm.changed').at(-1)?.['cursor'] ?? after) === head);
    const seen = new Set([...client.of('vm.changed'), ...again.of('vm.changed')].map(({ cursor }) => decodeCursor(cursor)));
    expect([...seen].toSorted((one, other) => one - other)).toEqual(Array.from({ length: head - start }, (_, index) => start + 1 + index));
  });

  it('by a gateway that stops, with the cursor from which it goes on', async () => {
    const own = await startGateway();
    const client = await PlainClient.signedIn(own.gateway.url, own.authority.signIn([['viewer', own.tenant]]).token);
    await own.close();
    expect(await client.untilClosed()).toEqual({ code: 1001, reason: `The gateway is stopping: resume after ${encodeCursor(0)}` });
  });
});

it.each([
  ['a foreign page', { origin: 'https://evil.example' }, false],
  ['an allowed one', { origin: 'https://dashboard.example' }, true],
])('an upgrade by %s', async (_who, headers, isOpen) => {
  await expect(open({ headers }).then(() => true, () => false)).resolves.toBe(isOpen);
});

it('holds a place of its user while it listens', async () => {
  const own = await startGateway({ options: { rateLimits: { ...UNLIMITED, subscriptionsPerUser: 1 } } });
  try {
    const { token: as } = own.authority.signIn([['operator', own.tenant]]);
    const first = await PlainClient.signedIn(own.gateway.url, as);
    const second = await PlainClient.open(own.gateway.url);
    second.send({ type: 'auth', token: as });
    expect(await second.until('error')).toMatchObject({ code: 'RATE_LIMITED' });
    first.socket.terminate();
    await eventually('the place to be free', async () => {
      second.send({ type: 'subscribe' });
      await eventually('an answer', () => second.of('subscribed').length > 0 || second.of('error').length > 1);
      return second.of('subscribed').length > 0;
    });
    second.socket.terminate();
  } finally {
    await own.close();
  }
});

it('counts who listens', async () => {
  const active = () => fixture.metric('novacron_subscriptions_active');
  const before = await active();
  const client = await signIn();
  expect(await active()).toBe(before + 1);
  client.send({ type: 'subscribe' });
  await client.until('subscribed');
  expect(await active()).toBe(before + 1);
  client.socket.terminate();
  await eventually('it to be forgotten', async () => (await active()) === before);
});
