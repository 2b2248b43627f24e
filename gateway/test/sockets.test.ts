import { request } from 'node:http';
import { HOST_METRICS_CHANNEL, VM_METRICS_CHANNEL, type HostSample, type VmSample } from '@novacron/contracts';
import { newId, type HostId, type TenantId, type UserId, type VmId } from '@novacron/core';
import { eventually } from '@novacron/testkit';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { ClientOptions } from 'ws';
import { decodeCursor, encodeCursor } from '@novacron/supergraph';
import { startGateway, type Fixture } from './gateway-fixture.ts';
import { SocketClient, type Received } from './socket-client.ts';

let fixture: Fixture;
let token: string;
const clients: SocketClient[] = [];

beforeAll(async () => {
  fixture = await startGateway({ options: { allowedOrigins: ['https://dashboard.example'] } });
  token = fixture.authority.signIn([['operator', fixture.tenant]]).token;
});
afterAll(() => fixture.close());
afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.close()));
});

async function connect(as: string | undefined = token, options?: ClientOptions): Promise<SocketClient> {
  const client = await SocketClient.connect(fixture.gateway.url, as, options);
  clients.push(client);
  return client;
}

const active = () => fixture.metric('novacron_subscriptions_active');
const live = (count: number) => eventually(`${count} subscriptions`, async () => (await active()) === count);

function appendChange(vm: ReturnType<Fixture['world']['addVm']>): number {
  const { name, state, desiredState, generation, hostId, tags } = vm;
  const facts = { name, state, desiredState, generation, hostId, tags };
  return fixture.log.append({ type: 'vm.changed', tenantId: vm.tenantId, entityId: vm.id, before: facts, after: facts }).position;
}

describe('a WebSocket', () => {
  /** The status of the answer to an upgrade. */
  const upgrade = (path: string, headers: Record<string, string>) =>
    new Promise<number | undefined>((resolve, reject) => {
      const asked = request(`${fixture.gateway.url}${path}`, {
        headers: { connection: 'Upgrade', upgrade: 'websocket', 'sec-websocket-version': '13', 'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==', 'sec-websocket-protocol': 'graphql-transport-ws', ...headers },
      });
      asked.on('upgrade', (response, socket) => {
        socket.destroy();
        resolve(response.statusCode);
      });
      asked.on('response', (response) => {
        response.resume();
        resolve(response.statusCode);
      });
      asked.on('error', reject);
      asked.end();
    });

  it.each([
    ['no page', {}, 101],
    ['our own page', { origin: 'SELF' }, 101],
    ['an allowed page', { origin: 'https://dashboard.example' }, 101],
    ['a foreign page', { origin: 'https://evil.example' }, 403],
    ['a page without an origin', { origin: 'null' }, 403],
  ])('from %s is answered with its status', async (_what, headers, status) => {
    const own = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, value === 'SELF' ? fixture.gateway.url : value]));
    expect(await upgrade('/graphql', own)).toBe(status);
  });

  it('is at /graphql only', async () => {
    expect(await upgrade('/other', {})).toBe(404);
  });

  it('with a token that is no good is closed', async () => {
    const client = await connect('forged');
    expect(await client.untilClosed()).toEqual({ code: 4403, reason: 'Invalid token' });
  });

  it('takes no message larger than 64 kB', async () => {
    const client = await connect();
    client.subscribe(`{ requestId } #${'x'.repeat(70_000)}`);
    expect((await client.untilClosed()).code).toBe(1009);
  });

  it('is closed when it does not speak the protocol', async () => {
    const client = await connect();
    client.socket.send('hello');
    expect((await client.untilClosed()).code).toBe(4400);
  });

  it('is closed when its token expires', async () => {
    const client = await connect(fixture.authority.signIn([['viewer', fixture.tenant]], 400).token);
    expect(await client.untilClosed()).toEqual({ code: 4403, reason: 'Token expired' });
  });

  it('is closed when its session is revoked, and does not come back', async () => {
    const { token: own, viewer } = fixture.authority.signIn([['viewer', fixture.tenant]]);
    const client = await connect(own);
    const other = await connect();
    client.subscribe('subscription { vmChanged { cursor } }');
    await live(1);
    fixture.log.append({ type: 'session.revoked', tenantId: null, entityId: viewer.sessionId, after: { userId: viewer.userId } });
    expect(await client.untilClosed()).toEqual({ code: 4403, reason: 'Session revoked' });
    await live(0);
    expect(await (await connect(own)).untilClosed()).toEqual({ code: 4403, reason: 'Invalid token' });
    expect(other.closed).toBeNull();
  });

  it("is closed when its user's roles change, and comes back with the new ones", async () => {
    const { token: own, viewer } = fixture.authority.signIn([['viewer', fixture.tenant]]);
    const client = await connect(own);
    fixture.authority.setRoles(own, []);
    fixture.log.append({ type: 'user.access', tenantId: null, entityId: viewer.userId, after: {} });
    expect(await client.untilClosed()).toEqual({ code: 4403, reason: 'Access changed' });
    expect(await (await connect(own)).subscribe('subscription { vmChanged { cursor } }').code()).toBe('FORBIDDEN');
  });

  it('that reads too slowly is cut with a cursor from which nothing is missing', async () => {
    const vm = fixture.world.addVm(fixture.tenant, { name: 'x'.repeat(20_000) });
    const client = await connect();
    const query = 'subscription ($ids: [ID!], $after: String) { vmChanged(ids: $ids, after: $after) { vm { name } } }';
    const received = client.subscribe(query, { ids: [vm.id] });
    await live(1);
    const start = await fixture.log.head();
    client.socket.pause();
    const cuts = () => fixture.metric('novacron_sockets_cut_slow_total');
    const before = await cuts();
    await eventually('the socket to be cut', async () => {
      for (let count = 0; count < 50; count += 1) appendChange(vm);
      return (await cuts()) === before + 1;
    });
    client.socket.resume();
    const { code, reason } = await client.untilClosed();
    expect(code).toBe(4290);
    const cursor = /^Too slow: resume after (\S+)$/.exec(reason)?.[1] ?? '';

    const again = await connect();
    const rest = again.subscribe(query, { ids: [vm.id], after: cursor });
    const head = await fixture.log.head();
    await eventually('the rest', () => decodeCursor(rest.payloads.at(-1)?.extensions.cursor ?? cursor) === head);
    const seen = new Set([...received.payloads, ...rest.payloads].map(({ extensions }) => decodeCursor(extensions.cursor)));
    expect([...seen].toSorted((one, other) => one - other)).toEqual(Array.from({ length: head - start }, (_, index) => start + 1 + index));
  });
});

describe('metrics', () => {
  const sample = (vmId: string, cpu: number, tenantId = fixture.tenant): VmSample => ({
    vmId: vmId as VmId,
    tenantId,
    hostId: newId<HostId>(),
    at: new Date().toISOString(),
    cpu,
    memoryUsed: null,
    memoryTotal: 2 ** 29,
    diskReadBytesPerSecond: 0,
    diskWriteBytesPerSecond: 1.5,
    netReceiveBytesPerSecond: 0,
    netTransmitBytesPerSecond: 0,
  });
  const publish = (...samples: VmSample[]) => fixture.redis.publish(VM_METRICS_CHANNEL, JSON.stringify(samples));
  const METRICS = 'subscription ($ids: [ID!], $intervalMs: Int) { vmMetrics(ids: $ids, intervalMs: $intervalMs) { cpu memoryUsed memoryTotal vm { id name } } }';
  const cpus = (received: Received) => received.payloads.map(({ data }) => (data as { vmMetrics: { cpu: number } }).vmMetrics.cpu);

  it('come at once when known, then the latest per interval, with what other subgraphs know', async () => {
    const vm = fixture.world.addVm(fixture.tenant, { name: 'busy' });
    await publish(sample(vm.id, 0.1));
    const client = await connect();
    const received = client.subscribe(METRICS, { ids: [vm.id], intervalMs: 1 });
    const [first] = await received.until(1);
    expect(first).toEqual({
      data: { vmMetrics: { cpu: 0.1, memoryUsed: null, memoryTotal: 2 ** 29, vm: { id: vm.id, name: 'busy' } } },
      extensions: { cursor: expect.any(String) },
    });
    const begun = performance.now();
    for (let step = 2; step < 10; step += 1) await publish(sample(vm.id, step / 10));
    await received.until(2);
    expect(cpus(received)).toEqual([0.1, 0.9]);
    expect(performance.now() - begun).toBeGreaterThan(800); // clamped to 1000 ms from 1
  });

  it("of foreign tenants' VMs are not shown, nor of ids not asked for", async () => {
    const own = fixture.world.addVm(fixture.tenant);
    const other = fixture.world.addVm(fixture.tenant);
    const foreign = newId<VmId>();
    const client = await connect();
    const one = client.subscribe(METRICS, { ids: [own.id, foreign] });
    await live(1);
    await publish(sample(foreign, 0.5, newId<TenantId>()), sample(other.id, 0.6), sample(own.id, 0.7));
    await one.until(1);
    expect(cpus(one)).toEqual([0.7]);
  });

  it('that can not be read are logged, and the next ones come', async () => {
    const vm = fixture.world.addVm(fixture.tenant);
    await fixture.redis.publish(VM_METRICS_CHANNEL, '{');
    const client = await connect();
    const received = client.subscribe(METRICS, { ids: [vm.id] });
    await live(1);
    await publish(sample(vm.id, 0.3));
    await received.until(1);
    expect(fixture.lines.some((line) => line['msg'] === 'samples that can not be read')).toBe(true);
  });

  it('go on after Redis was away', async () => {
    const vm = fixture.world.addVm(fixture.tenant);
    const client = await connect();
    const received = client.subscribe(METRICS, { ids: [vm.id], intervalMs: 1000 });
    await live(1);
    fixture.redisServer.kill();
    await eventually('the gateway to say so', async () => (await fetch(`${fixture.gateway.url}/ready`)).status === 503);
    await fixture.redisServer.restart();
    await eventually('a sample', async () => {
      await publish(sample(vm.id, 0.4));
      return received.payloads.length > 0;
    });
    expect(cpus(received)[0]).toBe(0.4);
  });

  it('of hosts are for those who may read hosts', async () => {
    const hostId = newId<HostId>();
    const admin = await connect(fixture.authority.signIn([['platform_admin', fixture.tenant]]).token);
    const received = admin.subscribe('subscription { hostMetrics { cpu memoryUsed vmsRunning host { id } } }');
    await live(1);
    const value: HostSample = { hostId, at: new Date().toISOString(), cpu: 0.2, memoryUsed: 1, memoryTotal: 2, vmsRunning: 3 };
    await fixture.redis.publish(HOST_METRICS_CHANNEL, JSON.stringify([value]));
    await received.until(1);
    expect(received.payloads[0]?.data).toEqual({ hostMetrics: { cpu: 0.2, memoryUsed: 1, vmsRunning: 3, host: { id: hostId } } });
  });
});

describe('a gateway that stops', () => {
  it('sends subscribers away with the cursor to come back with, and completes nothing', async () => {
    const own = await startGateway();
    const client = await SocketClient.connect(own.gateway.url, own.authority.signIn([['viewer', own.tenant]]).token);
    const received = client.subscribe('subscription { vmChanged { cursor } }');
    await eventually('the subscription', async () => (await own.metric('novacron_subscriptions_active')) === 1);
    const { position } = own.log.append({ type: 'session.revoked', tenantId: null, entityId: newId(), after: { userId: newId<UserId>() } });
    await own.close();
    expect(await client.untilClosed()).toEqual({ code: 1001, reason: `The gateway is stopping: resume after ${encodeCursor(position)}` });
    expect(received.completed).toBe(false);
  });
});
