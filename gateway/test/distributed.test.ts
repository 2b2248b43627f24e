import { generateKeyPairSync } from 'node:crypto';
import { eventually } from '@novacron/testkit';
import { createHttpDataSource, createRequestSigner, serveSubgraphs, type SubgraphServer } from '@novacron/transport';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startGateway, type Fixture } from './gateway-fixture.ts';
import { SocketClient } from './socket-client.ts';

const logger = pino({ level: 'silent' });
const servers = new Map<string, SubgraphServer>();
let fixture: Fixture;
let token: string;

beforeAll(async () => {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  fixture = await startGateway({
    async dataSources(_sources, subgraphs) {
      for (const subgraph of subgraphs) {
        servers.set(subgraph.name, await serveSubgraphs({ subgraphs: [subgraph], host: '127.0.0.1', port: 0, internalPublicKey: publicKey, logger }));
      }
      const signRequest = createRequestSigner(privateKey);
      return Object.fromEntries([...servers].map(([name, { url }]) => [name, createHttpDataSource({ name, url, signRequest })]));
    },
  });
  token = fixture.authority.signIn([['operator', fixture.tenant]]).token;
});
afterAll(async () => {
  await fixture.close();
  await Promise.all([...Object.values(fixture.options.dataSources).map((source) => source.close()), ...[...servers.values()].map((server) => server.close())]);
});

const read = 'query ($id: ID!) { vm(id: $id) { name createdBy { email } } }';

it('answers the same with every subgraph in a process of its own', async () => {
  const vm = fixture.world.addVm(fixture.tenant);
  const { data, errors } = await fixture.query(read, { token, variables: { id: vm.id }, headers: { 'x-request-id': 'end-to-end' } });
  expect(errors).toEqual([]);
  expect(data).toEqual({ vm: { name: 'web', createdBy: { email: expect.any(String) } } });
  expect(fixture.world.fetches.slice(-2).map(({ subgraph, context }) => [subgraph, context.requestId, context.address, context.userAgent])).toEqual([
    ['vms', 'end-to-end', '127.0.0.1', 'node'],
    ['identity', 'end-to-end', '127.0.0.1', 'node'],
  ]);
});

it('goes on with what is left when a service goes down, for queries and subscriptions', async () => {
  const vm = fixture.world.addVm(fixture.tenant);
  const client = await SocketClient.connect(fixture.gateway.url, token);
  const received = client.subscribe('subscription { vmChanged { vm { name tags createdBy { email } } } }');
  await eventually('the subscription', async () => (await fixture.metric('novacron_subscriptions_active')) === 1);
  const { name, state, desiredState, generation, hostId, tags } = vm;
  const facts = { name, state, desiredState, generation, hostId, tags };
  const change = () => fixture.log.append({ type: 'vm.changed', tenantId: fixture.tenant, entityId: vm.id, before: facts, after: facts });
  change();
  await received.until(1);
  await servers.get('identity')?.close();
  change();
  const [whole, partial] = await received.until(2);
  const unavailable = { message: 'The service "identity" can\'t be reached.', extensions: { code: 'UNAVAILABLE', retryable: true, requestId: expect.any(String) } };
  expect(whole?.errors).toBeUndefined();
  expect(partial?.data).toEqual({ vmChanged: { vm: { name: 'web', tags: [], createdBy: null } } });
  expect(partial?.errors).toEqual([{ ...unavailable, path: ['vmChanged', 'vm', 'createdBy'] }]);

  const { data, errors } = await fixture.query(read, { token, variables: { id: vm.id } });
  expect(data).toEqual({ vm: { name: 'web', createdBy: null } });
  expect(errors).toEqual([{ ...unavailable, path: ['vm', 'createdBy'] }]);
  await client.close();
});
