import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { startGateway, type Fixture } from './gateway-fixture.ts';
import { readAll, sendRaw, UPGRADE } from './raw-socket.ts';
import { watchers } from './watchers.ts';

let fixture: Fixture;
const { closeAll } = watchers(() => fixture);
/** What would have ended the process. */
const faults: unknown[] = [];
const remember = (error: unknown) => void faults.push(error);

beforeAll(async () => {
  fixture = await startGateway();
  process.prependListener('uncaughtException', remember);
  process.prependListener('unhandledRejection', remember);
});
afterAll(async () => {
  process.removeListener('uncaughtException', remember);
  process.removeListener('unhandledRejection', remember);
  await fixture.close();
});
afterEach(async () => {
  await closeAll();
  expect(faults.splice(0)).toEqual([]);
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
