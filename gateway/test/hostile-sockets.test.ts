import type { Socket } from 'node:net';
import { eventually, watchProcessFaults, type ProcessFaults } from '@novacron/testkit';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { startGateway, type Fixture } from './gateway-fixture.ts';
import { frame, readAll, sendRaw, UPGRADE } from './raw-socket.ts';

let fixture: Fixture;
const sockets: Socket[] = [];
let faults: ProcessFaults;

beforeAll(async () => {
  fixture = await startGateway();
  faults = watchProcessFaults();
});
afterAll(async () => {
  faults?.stop();
  await fixture.close();
});
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy();
  const seen = faults.seen.splice(0);
  if (seen.length > 0) throw new AggregateError(seen, 'the process would have ended');
});

const upgrade = (target: string, headers = '') => sendRaw(fixture.gateway.port, `GET ${target} HTTP/1.1\r\nHost: gateway\r\n${headers}${UPGRADE}\r\n`);

describe('an upgrade', () => {
  it.each(['//', 'http://[/graphql', 'http://%/graphql'])('of "%s" is refused', async (target) => {
    expect(await readAll(await upgrade(target))).toMatch(/^HTTP\/1\.1 400 /);
  });

  it.each([
    ['an address that is none', '/nope', ''],
    ['a foreign page', '/graphql', 'Origin: https://evil.example\r\n'],
    ['a broken handshake', '/graphql', 'Sec-WebSocket-Extensions: ;;\r\n'],
    ['/graphql', '/graphql', ''],
  ])('to %s may be reset at any moment', async (_what, target, headers) => {
    for (let count = 0; count < 50; count += 1) {
      const socket = await upgrade(target, headers);
      if (count % 2 === 0) await new Promise(setImmediate);
      socket.resetAndDestroy();
    }
    expect((await fetch(`${fixture.gateway.url}/health`)).status).toBe(200);
  });

  it('that is refused does not hold the connection open', async () => {
    const socket = await upgrade('/nope');
    expect(await readAll(socket)).toMatch(/^HTTP\/1\.1 404 /);
  });
});

/** A client that answers nothing by itself: no close frame, no pong. */
async function open(messages: readonly object[]): Promise<{ socket: Socket; received: () => string }> {
  const socket = await upgrade('/graphql');
  sockets.push(socket);
  let text = '';
  socket.on('data', (data) => (text += data.toString('latin1')));
  await eventually('the handshake', () => text.includes('\r\n\r\n'));
  for (const message of messages) socket.write(frame('text', JSON.stringify(message)));
  return { socket, received: () => text };
}

describe('a client that does not answer when it is closed', () => {
  const init = (token: string) => ({ type: 'connection_init', payload: { authorization: `Bearer ${token}` } });
  const mutation = { id: 'late', type: 'subscribe', payload: { query: 'mutation { createVm(input: { name: "late", memory: 1 }) }' } };

  it.each([
    ['its session is revoked', 'Session revoked', 600_000, (sessionId: string, userId: string) => fixture.log.append({ type: 'session.revoked', tenantId: null, entityId: sessionId, after: { userId } as never })],
    ['its roles change', 'Access changed', 600_000, (_sessionId: string, userId: string) => fixture.log.append({ type: 'user.access', tenantId: null, entityId: userId as never, after: {} })],
    ['its token expires', 'Token expired', 500, () => undefined],
  ])('is served nothing and cut once %s', async (_when, reason, lifetimeMs, end) => {
    const { token, viewer } = fixture.authority.signIn([['operator', fixture.tenant]], lifetimeMs);
    const { socket, received } = await open([init(token)]);
    await eventually('the acknowledgement', () => received().includes('connection_ack'));
    end(viewer.sessionId, viewer.userId);
    await eventually('the close frame', () => received().includes(reason));
    const fetches = fixture.world.fetches.length;
    const closed = new Promise<number>((resolve) => socket.once('close', () => resolve(performance.now())));
    const begun = performance.now();
    socket.write(frame('text', JSON.stringify(mutation)));
    expect((await closed) - begun).toBeLessThan(5_000);
    expect(fixture.world.fetches).toHaveLength(fetches);
  });

  it('and says who it is too late stays nobody', async () => {
    const { socket, received } = await open([{ type: 'subscribe', id: 'early', payload: { query: '{ me }' } }]);
    await eventually('the close frame', () => received().includes('Unauthorized'));
    const asked = fixture.authority.asked;
    socket.write(frame('text', JSON.stringify(init(fixture.authority.signIn([['operator', fixture.tenant]]).token))));
    socket.write(frame('text', JSON.stringify(mutation)));
    await eventually('the socket to be cut', () => socket.closed);
    expect(fixture.authority.asked).toBe(asked);
  });
});

describe('a client that does not read', () => {
  it.each([
    ['pings of the protocol', frame('text', JSON.stringify({ type: 'ping', payload: { x: 'x'.repeat(900) } }))],
    ['pings of WebSockets, to which ws sees', frame('ping', 'x'.repeat(125))],
  ])('is cut when it goes on with %s', async (_what, ping) => {
    const { socket } = await open([{ type: 'connection_init' }]);
    socket.pause();
    const batch = Buffer.concat(Array.from({ length: 1_000 }, () => ping));
    await eventually('the socket to be cut', () => {
      if (socket.writableLength < 2 ** 20) socket.write(batch);
      return socket.destroyed;
    });
    expect(socket.bytesWritten).toBeLessThan(2 ** 25); // what the kernels hold, and a little more
  });

  it('gets no pong with more than 1 kB', async () => {
    const { received } = await open([{ type: 'ping', payload: { x: 'x'.repeat(900) } }, { type: 'ping', payload: { x: 'y'.repeat(1_100) } }]);
    await eventually('the close frame', () => received().includes('A ping carries at most 1 kB'));
    expect([received().includes('xxx'), received().includes('yyy')]).toEqual([true, false]);
  });
});
