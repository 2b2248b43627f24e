import { newId, type MigrationId, type OperationId, type TenantId, type VmId } from '@novacron/core';
import { eventually } from '@novacron/testkit';
import { createClient } from 'graphql-ws';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { encodeCursor } from '@novacron/supergraph';
import { createEventsSchema } from '../src/events/schema.ts';
import { STREAMS } from '../src/events/streams.ts';
import { startGateway, type Fixture } from './gateway-fixture.ts';
import { NAMES, names, watchers } from './watchers.ts';

let fixture: Fixture;
let token: string;
const { active, change, closeAll, connect: connectAs, subscribed } = watchers(() => fixture);
const connect = (as: string = token) => connectAs(as);

beforeAll(async () => {
  fixture = await startGateway();
  token = fixture.authority.signIn([['operator', fixture.tenant]]).token;
});
afterAll(() => fixture.close());
afterEach(closeAll);

describe('vmChanged', () => {
  it('fills in what other subgraphs know, once per event, with the cursor of the message', async () => {
    const vm = fixture.world.addVm(fixture.tenant, { name: 'db' });
    const client = await connect();
    const received = await subscribed(() =>
      client.subscribe('subscription ($ids: [ID!]) { change: vmChanged(ids: $ids) { cursor type at vm { id name state generation tags host { name } createdBy { email } } } }', { ids: [vm.id] }),
    );
    const position = change(vm, { state: 'STOPPED', tags: ['new'] });
    const [payload] = await received.until(1);
    const cursor = encodeCursor(position);
    expect(payload).toEqual({
      data: {
        change: {
          cursor,
          type: 'vm.changed',
          at: expect.stringMatching(/Z$/),
          vm: { id: vm.id, name: 'db', state: 'STOPPED', generation: 2, tags: ['new'], host: { name: expect.any(String) }, createdBy: { email: expect.any(String) } },
        },
      },
      extensions: { cursor },
    });
  });


  it('shows each state that was committed, in order, though the VM has moved on', async () => {
    const vm = fixture.world.addVm(fixture.tenant, { state: 'STOPPED' });
    const client = await connect();
    const received = await subscribed(() => client.subscribe('subscription ($ids: [ID!]) { vmChanged(ids: $ids) { vm { state tags } } }', { ids: [vm.id] }));
    for (const state of ['STARTING', 'RUNNING', 'PAUSING', 'PAUSED'] as const) change(vm, { state });
    const payloads = await received.until(4);
    expect(payloads.map(({ data }) => data)).toEqual(
      ['STARTING', 'RUNNING', 'PAUSING', 'PAUSED'].map((state) => ({ vmChanged: { vm: { state, tags: [] } } })),
    );
  });

  it('coerces what events carry, and logs what can not be coerced', async () => {
    const vm = fixture.world.addVm(fixture.tenant);
    const client = await connect();
    const received = await subscribed(() => client.subscribe('subscription ($ids: [ID!]) { vmChanged(ids: $ids) { vm { id generation } } }', { ids: [vm.id] }));
    vm.generation = 1.5; // a producer's fault: change adds one to it
    change(vm, {});
    const [payload] = await received.until(1);
    expect(payload?.data).toBeNull();
    const [error] = payload?.errors ?? [];
    expect(error).toMatchObject({ message: 'Something went wrong inside NovaCron.', extensions: { code: 'INTERNAL' } });
    expect(fixture.lines.filter((line) => line['requestId'] === error?.extensions['requestId'])).toHaveLength(1);
  });

  it('says nothing of other VMs, unknown ids and foreign tenants', async () => {
    const own = fixture.world.addVm(fixture.tenant, { name: 'own' });
    const other = fixture.world.addVm(fixture.tenant, { name: 'other' });
    const foreign = fixture.world.addVm(newId<TenantId>(), { name: 'foreign' });
    const client = await connect();
    const some = await subscribed(() => client.subscribe(NAMES, { ids: [own.id, foreign.id, newId()] }));
    const all = await subscribed(() => client.subscribe(NAMES));
    for (const vm of [foreign, other, own]) change(vm, {});
    await some.until(1);
    await all.until(2);
    expect(names(some)).toEqual(['own']);
    expect(names(all)).toEqual(['other', 'own']);
  });

  it("shows a platform administrator every tenant's", async () => {
    const foreign = fixture.world.addVm(newId<TenantId>(), { name: 'theirs' });
    const admin = fixture.authority.signIn([['platform_admin', fixture.tenant]]);
    const client = await connect(admin.token);
    const received = await subscribed(() => client.subscribe(NAMES, { ids: [foreign.id] }));
    change(foreign, {});
    await received.until(1);
    expect(names(received)).toEqual(['theirs']);
  });

  it.each([
    ['states', { states: ['STOPPED'] }, ['leaves', 'comes']],
    ['tags', { tags: ['a', 'b'] }, ['comes']],
    ['search', { search: 'COM' }, ['comes']],
  ])('matches a filter of %s before or after the change', async (_what, filter, expected) => {
    const leaves = fixture.world.addVm(fixture.tenant, { name: 'leaves', state: 'STOPPED' });
    const comes = fixture.world.addVm(fixture.tenant, { name: 'comes', tags: ['a'] });
    const never = fixture.world.addVm(fixture.tenant, { name: 'never' });
    const client = await connect();
    const received = await subscribed(() => client.subscribe(NAMES, { filter: { ...filter, hostId: null } }));
    change(never, { state: 'PAUSED' });
    change(leaves, { state: 'STARTING' });
    change(comes, { state: 'STOPPED', tags: ['a', 'b', 'c'] });
    change(never, { state: 'RUNNING' });
    await received.until(expected.length);
    expect(names(received)).toEqual(expected);
  });
});

describe('operationChanged', () => {
  it("shows the progress of one's own tenants' operations", async () => {
    const id = newId<OperationId>();
    const client = await connect();
    const query = 'subscription ($id: ID) { operationChanged(id: $id) { id kind state progress cancellable } }';
    const one = await subscribed(() => client.subscribe(query, { id }));
    const all = await subscribed(() => client.subscribe(query));
    const after = { kind: 'vm.start', state: 'RUNNING', progress: 0.5, targetType: 'Vm', targetId: newId(), requestedBy: null, error: null } as const;
    fixture.log.append({ type: 'operation.changed', tenantId: newId<TenantId>(), entityId: newId<OperationId>(), after });
    fixture.log.append({ type: 'operation.changed', tenantId: null, entityId: newId<OperationId>(), after });
    fixture.log.append({ type: 'operation.changed', tenantId: fixture.tenant, entityId: newId<OperationId>(), after });
    fixture.log.append({ type: 'operation.changed', tenantId: fixture.tenant, entityId: id, after });
    const [payload] = await one.until(1);
    expect(payload?.data).toEqual({ operationChanged: { id, kind: 'vm.start', state: 'RUNNING', progress: 0.5, cancellable: true } });
    await all.until(2);
    expect([one.payloads.length, all.payloads.length]).toEqual([1, 2]);
  });
});

describe('migrationProgress', () => {
  it("shows each state of one of one's own tenants' migrations, in order", async () => {
    const id = newId<MigrationId>();
    const client = await connect();
    const query = 'subscription ($id: ID!) { migrationProgress(id: $id) { id state progress mode } }';
    const own = await subscribed(() => client.subscribe(query, { id }));
    const foreign = newId<MigrationId>();
    const other = await subscribed(() => client.subscribe(query, { id: foreign }));
    const after = { vmId: newId<VmId>(), state: 'COPYING_MEMORY', progress: 0.5 } as const;
    fixture.log.append({ type: 'migration.changed', tenantId: newId<TenantId>(), entityId: foreign, after });
    fixture.log.append({ type: 'migration.changed', tenantId: fixture.tenant, entityId: id, after });
    fixture.log.append({ type: 'migration.changed', tenantId: fixture.tenant, entityId: id, after: { ...after, state: 'SUCCEEDED', progress: 1 } });
    const payloads = await own.until(2);
    expect(payloads.map(({ data }) => data)).toEqual([
      { migrationProgress: { id, state: 'COPYING_MEMORY', progress: 0.5, mode: 'LIVE' } },
      { migrationProgress: { id, state: 'SUCCEEDED', progress: 1, mode: 'LIVE' } },
    ]);
    expect(other.payloads).toEqual([]);
  });
});

describe('a subscription', () => {
  it('has something that feeds it, for every field of the schema', () => {
    expect(Object.keys(STREAMS).toSorted()).toEqual(Object.keys(createEventsSchema().getSubscriptionType()?.getFields() ?? {}).toSorted());
  });

  it('without a viewer is UNAUTHENTICATED, without the permission FORBIDDEN', async () => {
    const stranger = await connectAs();
    expect(await stranger.subscribe(NAMES).code()).toBe('UNAUTHENTICATED');
    const member = await connect();
    expect(await member.subscribe('subscription { hostMetrics { cpu } }').code()).toBe('FORBIDDEN');
    expect(await (await connect(fixture.authority.signIn([]).token)).subscribe(NAMES).code()).toBe('FORBIDDEN');
  });

  it.each([
    ['subscription {', {}, 'GRAPHQL_PARSE_FAILED'],
    ['subscription { nothing }', {}, 'GRAPHQL_VALIDATION_FAILED'],
    ['subscription { vmChanged { cursor } operationChanged { id } }', {}, 'GRAPHQL_VALIDATION_FAILED'],
    ['subscription ($no: Boolean = false) { vmChanged @include(if: $no) { cursor } }', {}, 'GRAPHQL_VALIDATION_FAILED'],
    ['subscription ($ids: [ID!]!) { vmChanged(ids: $ids) { cursor } }', {}, 'BAD_USER_INPUT'],
    [NAMES, { filter: { states: ['NOWHERE'] } }, 'BAD_USER_INPUT'],
  ])('%s is refused', async (query, variables, code) => {
    const client = await connect();
    expect(await client.subscribe(query, variables).code()).toBe(code);
  });

  it.each(['subscription ($ids: [ID!]) { vmChanged(ids: $ids) { type } }', 'subscription ($ids: [ID!]) { vmMetrics(ids: $ids) { cpu } }'])('names two hundred objects at most: %s', async (query) => {
    const client = await connect();
    const tooMany = client.subscribe(query, { ids: Array.from({ length: 201 }, () => newId()) });
    expect(await tooMany.code()).toBe('BAD_USER_INPUT');
    expect(tooMany.error?.[0]).toMatchObject({ message: 'A subscription names at most 200 ids.', extensions: { field: 'ids' } });
    await subscribed(() => client.subscribe(query, { ids: Array.from({ length: 200 }, () => newId()) }));
  });

  it('can stand in a fragment', async () => {
    const vm = fixture.world.addVm(fixture.tenant, { name: 'deep' });
    const client = await connect();
    const received = await subscribed(() => client.subscribe('subscription { ...Changes } fragment Changes on Subscription { vmChanged { vm { name } } }'));
    change(vm, {});
    await received.until(1);
    expect(names(received)).toEqual(['deep']);
  });

  it('ends when its client says so, and is counted no more', async () => {
    const vm = fixture.world.addVm(fixture.tenant);
    const client = await connect();
    const received = await subscribed(() => client.subscribe(NAMES, { ids: [vm.id] }));
    client.send({ id: '1', type: 'complete' });
    await eventually('no subscription', async () => (await active()) === 0);
    change(vm, {});
    const next = client.subscribe('{ requestId }');
    await next.until(1);
    expect(received.payloads).toEqual([]);
  });

  it('is one of a hundred per connection, not more', async () => {
    const client = await connect();
    const received = Array.from({ length: 101 }, () => client.subscribe(NAMES));
    expect(await received[100]?.code()).toBe('RATE_LIMITED');
    await eventually('a hundred subscriptions', async () => (await active()) === 100);
  });

  it('works with the client library that everyone uses', async () => {
    const vm = fixture.world.addVm(fixture.tenant, { name: 'lib' });
    const client = createClient({ url: `${fixture.gateway.url.replace('http', 'ws')}/graphql`, webSocketImpl: WebSocket, connectionParams: { authorization: `Bearer ${token}` } });
    const iterator = client.iterate<{ vmChanged: { vm: { name: string } } }>({ query: NAMES, variables: { ids: [vm.id] } });
    const next = iterator.next();
    await eventually('the subscription', async () => (await active()) === 1);
    change(vm, {});
    expect((await next).value?.data?.vmChanged.vm.name).toBe('lib');
    await iterator.return?.();
    await client.dispose();
  });
});

describe('a query over the socket', () => {
  it('is answered like one over HTTP, errors and all', async () => {
    const client = await connect();
    const good = client.subscribe('{ requestId }');
    const bad = client.subscribe('{ refused }');
    await good.until(1);
    await eventually('both to be complete', () => good.completed && bad.completed);
    expect(good.payloads[0]?.data).toEqual({ requestId: expect.any(String) });
    expect(bad.payloads[0]?.errors?.[0]?.extensions).toMatchObject({ code: 'QUOTA_EXCEEDED', requestId: expect.any(String) });
  });
});
