import type { Socket } from 'node:net';
import { eventually } from '@novacron/testkit';
import type { DataSource } from '@novacron/transport';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { startGateway, type Fixture } from './gateway-fixture.ts';
import { PlainClient } from './plain-client.ts';
import { sendRaw } from './raw-socket.ts';
import { NAMES, watchers } from './watchers.ts';

/** Much at once from one client that may come in: it gets what it may have, and leaves nothing behind. */

let fixture: Fixture;
let token: string;
/** While there is one, identity answers nothing before it resolves. */
let held: Promise<void> | null = null;
const sockets: Socket[] = [];
const { active, change, closeAll, connect } = watchers(() => fixture);

const holding = (source: DataSource): DataSource => ({
  ...source,
  async process(request) {
    await held;
    return source.process(request);
  },
});

beforeAll(async () => {
  fixture = await startGateway({ dataSources: (sources) => Object.fromEntries(Object.entries(sources).map(([name, source]) => [name, name === 'identity' ? holding(source) : source])) });
  token = fixture.authority.signIn([['operator', fixture.tenant]]).token;
});
afterAll(() => fixture.close());
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await closeAll();
  await eventually('nothing to be left', async () => {
    const left = await Promise.all([active(), fixture.metric('novacron_sockets_active'), fixture.metric('novacron_event_streams_active'), fixture.metric('novacron_graphql_operations_in_flight')]);
    if (left.some((count) => count > 0)) throw new Error(`subscriptions, sockets, streams, operations: ${left.join(', ')}`);
    return true;
  });
});

describe('over a WebSocket', () => {
  it.each([
    ['still runs', NAMES, 'same'],
    ['is still prepared, and was completed', '{ me }', 'same'],
    ['has a name that fits into no close frame', NAMES, '\u{1f980}'.repeat(10_000)],
  ])('the id of an operation that %s is for no second one', async (_what, query, id) => {
    const client = await connect(token);
    client.send({ id, type: 'subscribe', payload: { query } });
    if (query !== NAMES) client.send({ id, type: 'complete' });
    client.send({ id, type: 'subscribe', payload: { query: NAMES } });
    const { code, reason } = await client.untilClosed();
    expect([code, reason]).toEqual([4409, `Subscriber for ${id} already exists`.slice(0, reason.length)]);
  });

  it('an id may be used again once its operation has ended', async () => {
    const client = await connect(token);
    for (let count = 0; count < 3; count += 1) {
      const received = client.subscribe('{ me }', {}, 'same');
      await eventually('the answer', () => received.completed);
    }
    expect(client.closed).toBeNull();
  });

  it('operations that were given up count until they have ended', async () => {
    const client = await connect(token);
    const { promise, resolve } = Promise.withResolvers<void>();
    held = promise;
    for (let id = 0; id < 100; id += 1) {
      client.send({ id: `given up ${id}`, type: 'subscribe', payload: { query: '{ me }' } });
      client.send({ id: `given up ${id}`, type: 'complete' });
    }
    expect(await client.subscribe('{ me }').code()).toBe('RATE_LIMITED');
    held = null;
    resolve();
    await eventually('them to have ended', async () => (await fixture.metric('novacron_graphql_operations_in_flight')) === 0);
    await client.subscribe('{ me }').until(1);
  });

  it('thousands of subscriptions at once are refused but a hundred, which hear', async () => {
    const client = await connect(token);
    const all = Array.from({ length: 3_000 }, () => client.subscribe(NAMES));
    await eventually('the rest to be refused', () => all.filter(({ error }) => error !== null).length === 2_900);
    expect(await active()).toBe(100);
    change(fixture.world.addVm(fixture.tenant), { name: 'seen' });
    await eventually('the others to hear', () => all.filter(({ payloads }) => payloads.length === 1).length === 100);
  });

  it('subscriptions that come and go leave nothing', async () => {
    const client = await connect(token);
    for (let id = 0; id < 3_000; id += 1) {
      client.send({ id: `gone ${id}`, type: 'subscribe', payload: { query: NAMES } });
      client.send({ id: `gone ${id}`, type: 'complete' });
    }
    await eventually('the gateway to have come to the end', async () => {
      const asked = client.subscribe('{ me }');
      await eventually('an answer', () => asked.error !== null || asked.completed);
      return asked.completed;
    });
    expect(await active()).toBe(0);
  });
});

describe('over HTTP', () => {
  const request = (query: string, accept: string) => {
    const body = JSON.stringify({ query });
    return `POST /graphql HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer ${token}\r\nContent-Type: application/json\r\nAccept: ${accept}\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
  };

  it('event streams behind one another end with their connection', async () => {
    const socket = await sendRaw(fixture.gateway.port, request(NAMES, 'text/event-stream').repeat(50));
    sockets.push(socket);
    await eventually('the streams', async () => (await active()) === 50);
    expect(await fixture.metric('novacron_event_streams_active')).toBe(50); // and none soon, see afterEach
  });

  it('answers that nobody reads are not asked for without end', async () => {
    for (let count = 0; count < 20; count += 1) fixture.world.addVm(fixture.tenant, { name: 'x'.repeat(5_000) });
    const fetches = fixture.world.fetches.length;
    const socket = await sendRaw(fixture.gateway.port, '');
    sockets.push(socket.pause());
    socket.write(request('{ vms { name } }', 'application/json').repeat(5_000));
    let seen = -1;
    await eventually('the gateway to take no more', async () => {
      const before = seen;
      seen = fixture.world.fetches.length;
      await fixture.query('{ __typename }');
      return seen > fetches && seen === before;
    }, { intervalMs: 200 });
    expect(seen - fetches).toBeLessThan(2_000);
  });
});

describe('over plain events', () => {
  it('choices by the thousand are answered, and the last one counts', async () => {
    const client = await PlainClient.signedIn(fixture.gateway.url, token);
    for (let count = 0; count < 3_000; count += 1) client.send({ type: 'subscribe', events: ['vm.changed'] });
    await client.until('subscribed', 3_000);
    expect(await active()).toBe(1);
    client.socket.terminate();
  });
});
