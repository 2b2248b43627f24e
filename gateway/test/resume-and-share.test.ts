import { eventually } from '@novacron/testkit';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { encodeCursor } from '@novacron/supergraph';
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

describe('a cursor', () => {
  it('resumes without loss or repetition while others write', async () => {
    const vm = fixture.world.addVm(fixture.tenant);
    const client = await connect();
    const first = await subscribed(() => client.subscribe(NAMES, { ids: [vm.id] }));
    for (let count = 0; count < 3; count += 1) change(vm, { name: `n${count}` });
    const cursor = (await first.until(3))[1]?.extensions.cursor;
    await client.close();

    // More than one batch of the replay, half of it another VM's, while the subscriptions resume.
    const other = fixture.world.addVm(fixture.tenant);
    for (let count = 3; count < 700; count += 1) change(count % 2 === 0 ? other : vm, { name: `n${count}` });
    const again = await connect();
    const resumed = Array.from({ length: 3 }, () => again.subscribe(NAMES, { ids: [vm.id], after: cursor }));
    let written = 700;
    await eventually('the subscriptions to catch up with a writer', async () => {
      for (let burst = 0; burst < 20; burst += 1) change(vm, { name: `n${(written += 1)}` });
      return resumed.every((received) => received.payloads.length > 400);
    });
    change(vm, { name: 'last' });
    for (const received of resumed) {
      await eventually('the last event', () => names(received).at(-1) === 'last');
      const got = received.payloads.map(({ extensions }) => extensions.cursor);
      const expected = (await fixture.log.read(0, Number.MAX_SAFE_INTEGER)).filter((event) => event.entityId === vm.id);
      const owed = expected.slice(expected.findIndex((event) => encodeCursor(event.position) === cursor) + 1);
      expect(got).toEqual(owed.map((event) => encodeCursor(event.position)));
    }
  });

  it('of the acknowledgement covers a client that was cut before its first message', async () => {
    const vm = fixture.world.addVm(fixture.tenant);
    const client = await connect();
    change(vm, { name: 'missed' });
    const received = client.subscribe(NAMES, { ids: [vm.id], after: client.acknowledged?.cursor });
    await received.until(1);
    expect(names(received)).toEqual(['missed']);
  });

  it('joins those who are live: resumed subscriptions share their work again', async () => {
    const vm = fixture.world.addVm(fixture.tenant);
    const query = NAMES.replace('name', 'name tags');
    const cursors = [change(vm, {}), change(vm, {}), change(vm, {})].map(encodeCursor);
    const client = await connect();
    const received = cursors.map((after) => client.subscribe(query, { ids: [vm.id], after }));
    await received[0]?.until(2);
    await received[1]?.until(1);
    await eventually('all to be live', async () => (await active()) === 3);
    const before = fixture.world.countFetches('vms');
    const last = encodeCursor(change(vm, { name: 'live' }));
    for (const one of received) await eventually('the live event', () => one.payloads.at(-1)?.extensions.cursor === last);
    expect(fixture.world.countFetches('vms') - before).toBe(1);
  });

  it.each(['nonsense', 'ZQ', Buffer.from('e01').toString('base64url')])('"%s" is refused', async (after) => {
    const client = await connect();
    const received = client.subscribe(NAMES, { after });
    expect(await received.code()).toBe('BAD_USER_INPUT');
    expect(received.error?.[0]?.extensions).toMatchObject({ field: 'after', requestId: expect.any(String) });
  });

  it('past retention, or of a log that is no more, is CURSOR_EXPIRED', async () => {
    const vm = fixture.world.addVm(fixture.tenant);
    const position = change(vm, {});
    change(vm, {});
    fixture.log.forgetUpTo(position);
    const client = await connect();
    expect(await client.subscribe(NAMES, { after: encodeCursor(position - 1) }).code()).toBe('CURSOR_EXPIRED');
    expect(await client.subscribe(NAMES, { after: encodeCursor(1e9) }).code()).toBe('CURSOR_EXPIRED');
  });
});

describe('identical subscriptions', () => {
  it('cost one fetch, however many there are', async () => {
    const vm = fixture.world.addVm(fixture.tenant);
    const sockets = await Promise.all(Array.from({ length: 10 }, () => connect()));
    const query = 'subscription ($ids: [ID!]) { vmChanged(ids: $ids) { cursor vm { name host { name } createdBy { email } } } }';
    const before = await active();
    const received = sockets.flatMap((client) => Array.from({ length: 10 }, () => client.subscribe(query, { ids: [vm.id] })));
    await eventually('a hundred subscriptions', async () => (await active()) === before + 100);
    const fetches = fixture.world.fetches.length;
    change(vm, { name: 'shared' });
    for (const one of received) await one.until(1);
    expect(fixture.world.fetches.slice(fetches).map(({ subgraph }) => subgraph)).toEqual(['vms', 'identity']);
  });

  it('of users with other roles, or whose answers depend on the user, are apart', async () => {
    const vm = fixture.world.addVm(fixture.tenant);
    const one = await connect(fixture.authority.signIn([['operator', fixture.tenant]]).token);
    const other = await connect(fixture.authority.signIn([['operator', fixture.tenant]]).token);
    const lesser = await connect(fixture.authority.signIn([['viewer', fixture.tenant]]).token);
    const byRole = 'subscription ($ids: [ID!]) { vmChanged(ids: $ids) { vm { tags } } }';
    const byUser = 'subscription ($ids: [ID!]) { vmChanged(ids: $ids) { vm { createdBy { email } } } }';
    const before = await active();
    const received = [one, other, lesser].flatMap((client) => [client.subscribe(byRole, { ids: [vm.id] }), client.subscribe(byUser, { ids: [vm.id] })]);
    await eventually('six subscriptions', async () => (await active()) === before + 6);
    const fetches = fixture.world.fetches.length;
    change(vm, {});
    for (const each of received) await each.until(1);
    const made = fixture.world.fetches.slice(fetches);
    expect(made.filter(({ subgraph }) => subgraph === 'identity')).toHaveLength(3);
    expect(made.filter(({ subgraph }) => subgraph === 'vms')).toHaveLength(2 + 3);
  });

  it('of one user are answered as the session that asks', async () => {
    const vm = fixture.world.addVm(fixture.tenant);
    const first = fixture.authority.signIn([['operator', fixture.tenant]]);
    const second = fixture.authority.signIn([['operator', fixture.tenant]], 600_000, first.viewer.userId);
    const query = 'subscription ($ids: [ID!]) { vmChanged(ids: $ids) { vm { createdBy { asking } } } }';
    const received = [];
    for (const session of [first, second]) {
      const client = await connect(session.token);
      received.push(await subscribed(() => client.subscribe(query, { ids: [vm.id] })));
    }
    change(vm, {});
    const sessions = await Promise.all(received.map(async (each) => (await each.until(1))[0]?.data));
    expect(sessions).toEqual([first, second].map(({ viewer }) => ({ vmChanged: { vm: { createdBy: { asking: viewer.sessionId } } } })));
  });
});
