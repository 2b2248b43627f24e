import { connect } from 'node:net';
import { newId } from '@novacron/core';
import { encodeCursor } from '@novacron/supergraph';
import { eventually } from '@novacron/testkit';
import { createClient } from 'graphql-sse';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { startGateway, type Fixture } from './gateway-fixture.ts';
import { NAMES, watchers } from './watchers.ts';

/** Operations as server-sent events: what the client library of the protocol sees, and what passes over the wire. */

let fixture: Fixture;
let token: string;
const { active, change } = watchers(() => fixture);
const opened: AbortController[] = [];

beforeAll(async () => {
  fixture = await startGateway();
  token = fixture.authority.signIn([['operator', fixture.tenant]]).token;
});
afterAll(() => fixture.close());
afterEach(async () => {
  for (const each of opened.splice(0)) each.abort();
  await eventually('no subscription', async () => (await active()) === 0);
});

interface Event {
  event: string;
  id?: string;
  data: unknown;
}

/** One stream as it passes over the wire. */
interface Wire {
  status: number;
  headers: Headers;
  /** The body of what is no stream. */
  text: string;
  events: Event[];
  /** True once the gateway has ended it. */
  readonly ended: boolean;
  until(count: number): Promise<Event[]>;
}

async function open(query: string, { as = token, variables = {}, headers = {}, method = 'POST' }: { as?: string | null; variables?: object; headers?: Record<string, string>; method?: string } = {}): Promise<Wire> {
  const stop = new AbortController();
  opened.push(stop);
  const common = { accept: 'text/event-stream', ...(as === null ? {} : { authorization: `Bearer ${as}` }), ...headers };
  const url = `${fixture.gateway.url}/graphql`;
  const response =
    method === 'GET'
      ? await fetch(`${url}?${new URLSearchParams({ query, variables: JSON.stringify(variables) })}`, { headers: common, signal: stop.signal })
      : await fetch(url, { method, headers: { ...common, 'content-type': 'application/json' }, body: JSON.stringify({ query, variables }), signal: stop.signal });
  const events: Event[] = [];
  let ended = false;
  const isStream = response.headers.get('content-type')?.startsWith('text/event-stream') === true;
  const read = async (): Promise<void> => {
    let rest = '';
    for await (const piece of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
      const blocks = (rest + piece).split('\n\n');
      rest = blocks.pop() ?? '';
      for (const block of blocks) {
        const fields = Object.fromEntries(block.split('\n').map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1).trimStart()]));
        if (fields['event'] === undefined) continue; // a comment, or how soon to come back
        const { event, id, data } = fields;
        events.push({ event, ...(id === undefined ? {} : { id }), data: data === '' || data === undefined ? null : JSON.parse(data) });
      }
    }
    ended = true;
  };
  if (isStream) read().catch(() => (ended = true)); // aborted by the test
  return {
    status: response.status,
    headers: response.headers,
    text: isStream ? '' : await response.text(),
    events,
    get ended() {
      return ended;
    },
    until: (count) => eventually(`${count} events (there are ${JSON.stringify(events)})`, () => (events.length >= count ? events : false)),
  };
}

const subscribed = async (query: string, options?: Parameters<typeof open>[1]): Promise<Wire> => {
  const before = await active();
  const wire = await open(query, options);
  await eventually('the subscription', async () => (await active()) === before + 1);
  return wire;
};
const ends = (wire: Wire) => eventually('the end of the stream', () => wire.ended);

describe('a subscription', () => {
  it('tells each event with its cursor as the id, in the group that WebSockets share', async () => {
    const vm = fixture.world.addVm(fixture.tenant, { name: 'db' });
    const one = await subscribed(NAMES, { variables: { ids: [vm.id] } });
    const other = await subscribed(NAMES, { variables: { ids: [vm.id] } });
    expect(one.headers.get('content-type')).toBe('text/event-stream; charset=utf-8');
    const cursor = encodeCursor(change(vm, {}));
    const event = { event: 'next', id: cursor, data: { data: { vmChanged: { cursor, vm: { name: 'db' } } }, extensions: { cursor } } };
    expect([await one.until(1), await other.until(1)]).toEqual([[event], [event]]);
  });

  it('is what the client library of the protocol understands', async () => {
    const vm = fixture.world.addVm(fixture.tenant, { name: 'db' });
    const client = createClient({ url: `${fixture.gateway.url}/graphql`, headers: { authorization: `Bearer ${token}` }, retryAttempts: 0 });
    const results = client.iterate<{ vmChanged: { vm: { name: string } } }>({ query: NAMES, variables: { ids: [vm.id] } });
    const first = results.next();
    await eventually('the subscription', async () => (await active()) === 1);
    change(vm, {});
    expect((await first).value).toMatchObject({ data: { vmChanged: { vm: { name: 'db' } } } });
    await results.return?.();
    client.dispose();
  });

  it('goes on where the client was, by Last-Event-ID', async () => {
    const vm = fixture.world.addVm(fixture.tenant, { name: 'db' });
    const before = change(vm, {});
    const missed = [change(vm, {}), change(vm, {})].map(encodeCursor);
    const wire = await subscribed(NAMES, { variables: { ids: [vm.id] }, headers: { 'last-event-id': encodeCursor(before) }, method: 'GET' });
    expect((await wire.until(2)).map(({ id }) => id)).toEqual(missed);
  });

  it.each([
    ['of a cursor that is none', NAMES, { 'last-event-id': 'x' }, 'BAD_USER_INPUT'],
    ['of what is not in the graph', 'subscription { nope }', {}, 'GRAPHQL_VALIDATION_FAILED'],
    ['that is no GraphQL', '{', {}, 'GRAPHQL_PARSE_FAILED'],
  ])('%s is refused in the stream, and complete', async (_what, query, headers, code) => {
    const wire = await open(query, { headers });
    await ends(wire);
    expect(wire.events).toEqual([{ event: 'next', data: { errors: [expect.objectContaining({ extensions: expect.objectContaining({ code }) })] } }, { event: 'complete', data: null }]);
  });

  it('of nobody is refused, and a token that is no good is 401', async () => {
    const nobody = await open(NAMES, { as: null });
    await ends(nobody);
    expect(nobody.events[0]?.data).toMatchObject({ errors: [{ extensions: { code: 'UNAUTHENTICATED' } }] });
    const forged = await open(NAMES, { as: 'forged' });
    expect([forged.status, JSON.parse(forged.text)]).toMatchObject([401, { errors: [{ extensions: { code: 'UNAUTHENTICATED' } }] }]);
  });
});

describe('a query', () => {
  it('is one result, and complete', async () => {
    const wire = await open('{ __typename }');
    await ends(wire);
    expect(wire.events).toEqual([{ event: 'next', data: { data: { __typename: 'Query' } } }, { event: 'complete', data: null }]);
  });
});

describe('a GET', () => {
  const LOGIN = 'mutation { login(input: { email: "ann@example.test", password: "right" }) { accessToken } }';

  it.each([true, false])('changes nothing, whoever sends it (signed in: %s)', async (isSignedIn) => {
    fixture.world.fetches.length = 0;
    const wire = await open(LOGIN, { as: isSignedIn ? token : null, method: 'GET' });
    await ends(wire);
    expect(wire.events[0]?.data).toMatchObject({ errors: [{ message: 'A GET only reads: send a mutation by POST.', extensions: { code: 'BAD_REQUEST' } }] });
    expect(fixture.world.fetches).toEqual([]);
  });

  it('is refused that a page elsewhere could have made a browser send: an EventSource asks nobody', async () => {
    const headers = { origin: 'https://elsewhere.example' };
    const unasked = await open('{ __typename }', { as: null, method: 'GET', headers });
    expect([unasked.status, JSON.parse(unasked.text)]).toMatchObject([400, { errors: [{ extensions: { code: 'BAD_REQUEST' } }] }]);
    const asked = await open('{ __typename }', { method: 'GET', headers });
    await ends(asked);
    expect(asked.events[0]?.data).toEqual({ data: { __typename: 'Query' } });
  });
});

describe('a stream ends', () => {
  it('with an error and for good when the session has ended', async () => {
    const { token: mine, viewer } = fixture.authority.signIn([['operator', fixture.tenant]]);
    const wire = await subscribed(NAMES, { as: mine });
    fixture.log.append({ type: 'session.revoked', tenantId: null, entityId: viewer.sessionId, after: { userId: viewer.userId } });
    await ends(wire);
    expect(wire.events.map(({ event }) => event)).toEqual(['next', 'complete']);
    expect(wire.events[0]?.data).toMatchObject({ errors: [{ message: 'This session has ended: sign in again.', extensions: { code: 'UNAUTHENTICATED' } }] });
  });

  it('with an error and for good when the token expires', async () => {
    const { token: mine } = fixture.authority.signIn([['operator', fixture.tenant]], 400);
    const wire = await open(NAMES, { as: mine });
    await ends(wire);
    expect(wire.events[0]?.data).toMatchObject({ errors: [{ extensions: { code: 'UNAUTHENTICATED' } }] });
  });

  it('without a word when roles change: the client comes back with those it has now', async () => {
    const { token: mine, viewer } = fixture.authority.signIn([['operator', fixture.tenant]]);
    const wire = await subscribed(NAMES, { as: mine });
    fixture.log.append({ type: 'user.access', tenantId: null, entityId: viewer.userId, after: {} });
    await ends(wire);
    expect(wire.events).toEqual([]);
  });

  it('without a word when the gateway stops', async () => {
    const own = await startGateway();
    const mine = own.authority.signIn([['operator', own.tenant]]).token;
    const response = await fetch(`${own.gateway.url}/graphql`, {
      method: 'POST',
      headers: { accept: 'text/event-stream', 'content-type': 'application/json', authorization: `Bearer ${mine}` },
      body: JSON.stringify({ query: NAMES }),
    });
    await eventually('the subscription', async () => (await own.metric('novacron_subscriptions_active')) === 1);
    const [text] = await Promise.all([response.text(), own.close()]);
    expect(text).toBe('retry: 1000\n\n');
  });

  it('when its client does not read, and is counted', async () => {
    const vm = fixture.world.addVm(fixture.tenant, { name: 'x'.repeat(100_000) });
    const { port } = new URL(fixture.gateway.url);
    const socket = connect(Number(port), '127.0.0.1');
    socket.on('error', () => {}); // to be reset is what is waited for
    const body = JSON.stringify({ query: NAMES, variables: { ids: [vm.id] } });
    socket.pause();
    socket.write(`POST /graphql HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\nAuthorization: Bearer ${token}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
    await eventually('the subscription', async () => (await active()) === 1);
    const before = await fixture.metric('novacron_sockets_cut_slow_total');
    await eventually('the stream to be cut', async () => {
      for (let count = 0; count < 20; count += 1) change(vm, {});
      return (await fixture.metric('novacron_sockets_cut_slow_total')) > before;
    });
    expect(await fixture.metric('novacron_sockets_cut_slow_total')).toBe(before + 1);
    socket.destroy();
  });
});

it('ids that nobody has say nothing', async () => {
  const wire = await subscribed(NAMES, { variables: { ids: [newId()] } });
  change(fixture.world.addVm(fixture.tenant), {});
  const { until } = await subscribed(NAMES);
  change(fixture.world.addVm(fixture.tenant), {});
  await until(1);
  expect(wire.events).toEqual([]);
});
