import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { serviceDatabaseUrl } from '@novacron/database';
import { eventually } from '@novacron/testkit';
import pg from 'pg';
import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest';
import { SUBGRAPHS } from '../app/src/services.ts';
import { startSystem } from '../app/src/system.ts';
import { Graph } from './kit/client.ts';
import { startEmbedded, type Embedded } from './kit/embedded.ts';
import { makePeople, type People } from './kit/people.ts';
import { createVm } from './kit/vm.ts';

/** A way to the tests' PostgreSQL, which listens at a UNIX socket, that can be cut: connections end, and so does every new one. */
async function openWay(to: URL) {
  const path = `${to.searchParams.get('host')}/.s.PGSQL.5432`;
  const sockets = new Set<Socket>();
  let isCut = false;
  const server = createServer((socket) => {
    const onward = connect(path);
    for (const [each, other] of [[socket, onward], [onward, socket]] as const) {
      sockets.add(each);
      each.on('error', () => {}); // to be cut is what it is for
      each.on('close', () => other.destroy());
    }
    if (isCut) socket.destroy();
    socket.pipe(onward).pipe(socket);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = new URL(to);
  url.searchParams.delete('host');
  url.host = `127.0.0.1:${(server.address() as AddressInfo).port}`; // a TCP server has no other kind
  const cut = () => {
    isCut = true;
    for (const socket of sockets) socket.destroy();
  };
  return {
    url: url.href,
    cut,
    mend: () => void (isCut = false),
    async close() {
      cut();
      server.close();
      await once(server, 'close');
    },
  };
}

const opened = new AsyncDisposableStack();
let embedded: Embedded;
let people: People;
let way: Awaited<ReturnType<typeof openWay>>;
/** At a second gateway over the same services, of which storage finds its database by that way only. */
let pool: string;
let me: Graph;

beforeAll(async () => {
  embedded = await startEmbedded();
  opened.defer(() => embedded.close());
  people = await makePeople(embedded.graph);
  await embedded.registerHost(embedded.graph.as(people.platformAdmin));
  const operator = embedded.graph.as(people.operator);
  const made = await Promise.all(['one', 'two'].map((name) => createVm(operator, embedded.guest, { name, start: false, memory: '64MiB' })));
  await Promise.all(made.map(({ operation }) => operation.succeeds()));

  const { environment, databaseUrl, redisUrl, logger } = embedded;
  way = await openWay(new URL(serviceDatabaseUrl(databaseUrl, 'storage')));
  opened.defer(() => way.close());
  const system = await startSystem({
    roles: [...SUBGRAPHS, 'gateway'],
    environment: {
      ...environment,
      gateway: { ...environment.gateway, port: 0 },
      subgraphs: { ...environment.subgraphs, timeoutMs: 2_000 },
      databaseUrls: { ...environment.databaseUrls, storage: way.url },
    },
    databaseUrl,
    redisUrl,
    logger,
    agentHost: null,
    isAccelerated: () => Promise.resolve(false),
  });
  opened.defer(() => system.close());
  me = new Graph(system.url ?? '').as(people.operator);
  pool = await eventually('the pool of the host', async () => {
    const { storagePools } = await me.run('{ storagePools(first: 1) { edges { node { id name } } } }');
    return storagePools.edges[0]?.node.id ?? false;
  });
}, 90_000);
afterAll(() => opened.disposeAsync());

/** Fields of three services, each of which may be null. */
const ASKED = 'query ($pool: ID!) { storagePool(id: $pool) { name } vms(first: 10) { edges { node { name } } } me { email } }';
const answer = (storagePool: object | null) => ({
  storagePool,
  vms: { edges: expect.arrayContaining(['one', 'two'].map((name) => ({ node: { name } }))) },
  me: { email: expect.any(String) },
});
const whole = answer({ name: 'local' });
const ask = () => me.ask(ASKED, { pool });

/** What is missing has an error, retryable, that does not say where anything is. */
async function missesThePool(message: string): Promise<void> {
  const { data, errors } = await ask();
  expect(data).toEqual(answer(null));
  expect(errors).toEqual([{ message, path: ['storagePool'], extensions: { code: 'UNAVAILABLE', retryable: true, requestId: expect.any(String) } }]);
  expect(JSON.stringify(errors)).not.toMatch(/127\.0\.0\.1|ECONN|postgres|prisma|novacron_|:\d{4}/i);
}

it('a service whose database can\'t be reached costs its own fields, until it can', async () => {
  expect((await ask()).data).toEqual(whole);
  way.cut();
  await missesThePool("A part of NovaCron can't be reached right now: try again.");
  way.mend();
  await eventually('the pool', async () => (await ask()).errors.length === 0);
  expect((await ask()).data).toEqual(whole);
});

it('a service whose database does not answer costs its own fields, and no more than its time', async () => {
  const owner = new pg.Client(embedded.databaseUrl);
  onTestFinished(() => owner.end());
  await owner.connect();
  await owner.query('BEGIN; LOCK TABLE storage.pool IN ACCESS EXCLUSIVE MODE');
  const begun = performance.now();
  await missesThePool('The service "storage" did not answer in time.');
  expect(performance.now() - begun).toBeLessThan(8_000);
  await owner.query('ROLLBACK');
  await eventually('the pool', async () => (await ask()).errors.length === 0, { timeoutMs: 20_000 });
  expect((await ask()).data).toEqual(whole);
});
