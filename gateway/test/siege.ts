import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setInterval as every } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { eventually } from '@novacron/testkit';
import { expect } from 'vitest';
import { UNLIMITED } from '../src/rate-limits/settings.ts';
import type { Crowd, Mischief } from './attacker.ts';
import type { Fixture } from './gateway-fixture.ts';
import { PlainClient } from './plain-client.ts';
import { sendRaw } from './raw-socket.ts';
import { SocketClient } from './socket-client.ts';
import { NAMES, watchers } from './watchers.ts';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void; // what the flag has brought

/** What a gateway holds; the same before and after a crowd. */
async function holdings(fixture: Fixture) {
  const metrics = ['novacron_sockets_active', 'novacron_event_streams_active', 'novacron_subscriptions_active', 'novacron_graphql_operations_in_flight'];
  const counts = await Promise.all(metrics.map(async (name) => [name, await fixture.metric(name)] as const));
  const places = await fixture.redis.keys('novacron.places:*');
  return { ...Object.fromEntries(counts), places: places.length };
}

/** Bytes in use once what nobody holds is gone. */
function heapInUse(): number {
  collectGarbage();
  return process.memoryUsage().heapUsed + process.memoryUsage().arrayBuffers;
}

/** As it comes, but for addresses: everyone in a crowd has the same. */
export const LIMITS = { ...UNLIMITED, pointsPerMinute: 6_000, connectionsPerUser: 20, subscriptionsPerConnection: 100, subscriptionsPerUser: 1_000 };

/** Those who only take up room are cut within 15 s: their silence has an end. */
const SILENT: readonly Mischief[] = ['silent', 'headersDripped', 'upgradeUnfinished'];
/** Those who break the rules, or don't say who they are, are cut at once or within seconds. */
const RUDE: readonly Mischief[] = ['frameGiant', 'eventsFrameGiant', 'messageInParts', 'frameSqueezed', 'headersWithoutEnd', 'headersMany', 'bodySqueezed', 'socketSilent', 'eventsSilent'];

/** A crowd comes, and others notice little of it: they are served all the while, and nothing is left of it afterwards. `toTheLast`: waits for those, too, that may hold on for half a minute. */
export async function withstand(fixture: Fixture, crowd: Crowd, { toTheLast = false } = {}): Promise<void> {
  const [good, bad] = [fixture.authority.signIn([['operator', fixture.tenant]]), fixture.authority.signIn([['operator', fixture.tenant]])];
  const before = await holdings(fixture);
  const heap = heapInUse();
  const clients = await goodClients(fixture, good.token);
  const attackers = besiege(fixture, bad.token, crowd);
  try {
    await attackers.here;
    await attackers.gone(RUDE, 15_000);
    await attackers.gone(SILENT, 40_000); // those that waited to be taken up have 15 s from then on
    if (toTheLast) {
      await attackers.gone(['bodyDripped'], 40_000);
      // Who does not read does not see either that it was cut; a stream is until its buffers are full, and its user holds few.
      await eventually('the sockets of those who answer no ping to be cut', async () => (await fixture.metric('novacron_sockets_active')) === 2, { timeoutMs: 40_000 });
    }
  } finally {
    await attackers.end();
  }
  const waits = await clients.end();
  expect(waits.at(Math.floor(waits.length / 2))).toBeLessThan(500);
  expect(waits.at(-1)).toBeLessThan(5_000); // while thousands knock at once
  await eventually('nothing to be left', async () => {
    expect(await holdings(fixture)).toEqual(before);
    return true;
  });
  expect(heapInUse() - heap).toBeLessThan(64 * 2 ** 20);
}

/** Brings a crowd to the gateway, as one user. */
function besiege(fixture: Fixture, token: string, crowd: Crowd) {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'attacker.ts')], {
    env: { ...process.env, PORT: String(fixture.gateway.port), TOKEN: token, CROWD: JSON.stringify(crowd) },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const line = async (): Promise<string> => ((await lines.next()) as IteratorYieldResult<string>).value; // it ends when we say so
  return {
    /** Resolves once everyone is there. */
    here: line(),
    /** Waits until none of these is connected any more. */
    async gone(kinds: readonly Mischief[], timeoutMs: number): Promise<void> {
      let left: [string, number][] = [];
      await eventually('the gateway to have cut them', async () => {
        child.stdin.write('\n');
        left = Object.entries(JSON.parse(await line()) as Crowd).filter(([kind]) => kinds.includes(kind as Mischief));
        if (left.length > 0) throw new Error(`connected: ${JSON.stringify(left)}`);
        return true;
      }, { timeoutMs, intervalMs: 250 });
    },
    async end(): Promise<void> {
      const over = once(child, 'exit');
      child.kill('SIGKILL');
      await over;
    },
  };
}

/** Those who mean well: one asks, three listen. */
async function goodClients(fixture: Fixture, token: string) {
  const { change } = watchers(() => fixture);
  const vm = fixture.world.addVm(fixture.tenant);
  const socket = await SocketClient.connect(fixture.gateway.url, token);
  const overSocket = socket.subscribe(NAMES);
  const plain = await PlainClient.signedIn(fixture.gateway.url, token, { events: ['vm.changed'] });
  const body = JSON.stringify({ query: NAMES });
  const stream = await sendRaw(fixture.gateway.port, `POST /graphql HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer ${token}\r\nAccept: text/event-stream\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
  let streamed = '';
  stream.on('data', (data) => (streamed += String(data)));
  await eventually('all to listen', async () => (await fixture.metric('novacron_subscriptions_active')) === 3);

  let told = 0;
  const telling = setInterval(() => change(vm, { name: `name ${(told += 1)}` }), 20);
  let isOver = false;
  const waits: number[] = [];
  const asking = (async () => {
    for await (const _tick of every(50)) {
      if (isOver) return;
      const begun = performance.now();
      const { data, errors } = await fixture.query('{ me vms { name } }', { token });
      expect(errors).toEqual([]);
      expect(data).toMatchObject({ vms: expect.any(Array) });
      waits.push(performance.now() - begun);
    }
  })();
  asking.catch(() => undefined); // seen where it is awaited

  return {
    /** Stops, once all that was told has arrived. Returns how long each question took, in milliseconds, the shortest first. */
    async end(): Promise<number[]> {
      clearInterval(telling);
      isOver = true;
      await asking;
      await overSocket.until(told);
      await plain.until('vm.changed', told);
      await eventually('the stream to have told all', () => streamed.includes(`"name ${told}"`));
      expect([overSocket.payloads.length, plain.of('vm.changed').length, streamed.split('event: next').length - 1]).toEqual([told, told, told]);
      stream.destroy();
      plain.socket.terminate();
      await socket.close();
      return waits.toSorted((one, other) => one - other);
    },
  };
}
