import { spawn, type ChildProcess } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { join } from 'node:path';
import { eventually, json, startWaywardServer, type Behaviour, type WaywardServer } from '@novacron/testkit';
import { createHttpDataSource, createRequestSigner, type DataSource } from '@novacron/transport';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { startGateway, type Answer, type Fixture } from './gateway-fixture.ts';
import type { VmRow } from './small-graph.ts';
import { watchers } from './watchers.ts';

const { privateKey, publicKey } = generateKeyPairSync('ed25519');
const signRequest = createRequestSigner(privateKey);
const TIMEOUT_MS = 1_500;

let identity: WaywardServer;
/** Where vms is asked: in this process, or wherever a test has it. */
let vmsElsewhere: DataSource | null = null;
let fixture: Fixture;
let token: string;
let vms: VmRow[];
const { closeAll, connect, subscribed, change } = watchers(() => fixture);

/** The users that a question of the gateway names, as they are. */
const usersOf = (question: string): unknown[] => {
  const { variables } = JSON.parse(question) as { variables: { representations: { id: string }[] } };
  return variables.representations.map(({ id }) => fixture.world.users.get(id));
};
/** Answers what becomes of the users. */
const lying =
  (answer: (users: unknown[]) => unknown): Behaviour =>
  (response, question) =>
    json(answer(usersOf(question)))(response, question);
const honest = lying((users) => ({ data: { _entities: users } }));

const LIST = '{ vms { name createdBy { email } } }';
const list = (query = LIST) => fixture.query(query, { token });

beforeAll(async () => {
  identity = await startWaywardServer(honest);
  fixture = await startGateway({
    options: { subgraphTimeoutMs: TIMEOUT_MS, slowOperationMs: 0 },
    dataSources: ({ vms: local, ...others }) => ({
      ...others,
      // not said to conform, so that its answers are looked at, too
      ...(local && { vms: { name: 'vms', process: (request) => (vmsElsewhere ?? local).process(request), close: () => local.close() } }),
      identity: createHttpDataSource({ name: 'identity', url: identity.url, signRequest }),
    }),
  });
  token = fixture.authority.signIn([['operator', fixture.tenant]]).token;
  vms = [fixture.world.addVm(fixture.tenant, { name: 'a' }), fixture.world.addVm(fixture.tenant, { name: 'b' })];
});
beforeEach(async () => {
  identity.behave = honest;
  vmsElsewhere = null;
  // So much that its circuit stays closed, whatever the last test did.
  for (let count = 0; count < 6; count += 1) await list();
  fixture.lines.length = 0;
});
afterEach(closeAll);
afterAll(async () => {
  await fixture.close();
  await Promise.all(Object.values(fixture.options.dataSources).map((source) => source.close()));
  await identity.stop();
});

/** Nothing of where services are, of how they are made, or of what they said. */
const INTERNALS = /127\.0\.0\.1|ECONN|:\d{4}|\/srv|\bat \w|stack|undici|SyntaxError|Unexpected token|_entities|secret|serviceName|DOWNSTREAM/;
function tellsNothing({ data, errors }: Answer): void {
  expect(JSON.stringify({ data, errors })).not.toMatch(INTERNALS);
  for (const { extensions } of errors) expect(Object.keys(extensions).filter((key) => !['code', 'field', 'retryable', 'requestId'].includes(key))).toEqual([]);
}

describe('a subgraph that gives no answer', () => {
  it.each<[string, Behaviour, string]>([
    ['hangs up', (response) => response.destroy(), "can't be reached"],
    ['resets in the middle', (response) => void response.writeHead(200, { 'content-type': 'application/json' }).write('{"data":', () => response.destroy()), "can't be reached"],
    ['never answers', () => {}, 'did not answer in time'],
    ['sends HTML', json('<html>secret', 200, 'text/html'), "can't be reached"],
    ['breaks', json('Error: secret\n    at /srv/app.js:1', 500, 'text/plain'), "can't be reached"],
    ['sends null', json('null'), "can't be reached"],
    ['sends a list', json('[]'), "can't be reached"],
    ['sends half of its JSON', json('{"data":{"secret"'), "can't be reached"],
  ])('and %s costs its own fields, each with an error at its place', async (_what, behave, said) => {
    identity.behave = behave;
    const answer = await list();
    expect(answer.status).toBe(200);
    expect(answer.data).toEqual({ vms: [{ name: 'a', createdBy: null }, { name: 'b', createdBy: null }] });
    expect(answer.errors).toEqual(
      [0, 1].map((index) => ({
        message: `The service "identity" ${said}.`,
        path: ['vms', index, 'createdBy'],
        extensions: { code: 'UNAVAILABLE', retryable: true, requestId: expect.any(String) },
      })),
    );
    tellsNothing(answer);
    expect(fixture.lines).toMatchObject([{ level: 50, subgraph: 'identity', requestId: answer.errors[0]?.extensions['requestId'] }]);
  });

  it('costs the fields of the root that are its own', async () => {
    identity.behave = (response) => response.destroy();
    const answer = await list('{ mine: me vms { name } }');
    expect(answer.data).toEqual({ mine: null, vms: [{ name: 'a' }, { name: 'b' }] });
    expect(answer.errors).toMatchObject([{ path: ['mine'], extensions: { code: 'UNAVAILABLE' } }]);
    tellsNothing(answer);
  });

  it('that hangs up once is asked again, and nobody notices', async () => {
    let hungUp = false;
    identity.behave = (response, question) => {
      if (hungUp) return honest(response, question);
      hungUp = true;
      return void response.destroy();
    };
    expect((await list()).errors).toEqual([]);
    expect(await fixture.metric('novacron_subgraph_retries_total')).toBeGreaterThan(0);
  });
});

describe('a subgraph that lies', () => {
  it.each<[string, Behaviour, [(string | number)[], (string | number)[]]]>([
    ['about a type', lying((users) => ({ data: { _entities: users.map(() => ({ email: { secret: 1 } })) } })), [['vms', 0, 'createdBy', 'email'], ['vms', 1, 'createdBy', 'email']]],
    ['with null', lying((users) => ({ data: { _entities: users.map(() => ({ email: null })) } })), [['vms', 0, 'createdBy', 'email'], ['vms', 1, 'createdBy', 'email']]],
    ['with nothing', lying((users) => ({ data: { _entities: users.map(() => ({})) } })), [['vms', 0, 'createdBy', 'email'], ['vms', 1, 'createdBy', 'email']]],
    ['about what they are', lying((users) => ({ data: { _entities: users.map(() => ({ email: 'secret', __typename: 'Secret' })) } })), [['vms', 0, 'createdBy'], ['vms', 1, 'createdBy']]],
    ['with texts', lying((users) => ({ data: { _entities: users.map(() => 'secret') } })), [['vms', 0, 'createdBy'], ['vms', 1, 'createdBy']]],
    ['by leaving one out', lying(([first]) => ({ data: { _entities: [first] } })), [['vms', 0, 'createdBy'], ['vms', 1, 'createdBy']]],
    ['by adding one', lying((users) => ({ data: { _entities: [...users, ...users] } })), [['vms', 0, 'createdBy'], ['vms', 1, 'createdBy']]],
    ['with an object of them', lying((users) => ({ data: { _entities: { ...users } } })), [['vms', 0, 'createdBy'], ['vms', 1, 'createdBy']]],
    ['without them', lying(() => ({ data: {} })), [['vms', 0, 'createdBy'], ['vms', 1, 'createdBy']]],
    ['about why', lying(() => ({ data: null, errors: [{ message: 'secret', extensions: { code: 'INTERNAL', stacktrace: ['at /srv/x.js'], host: '10.0.0.7' } }] })), [['vms', 0, 'createdBy'], ['vms', 1, 'createdBy']]],
    ['about why, in a code of its own', lying(() => ({ data: null, errors: [{ message: 'secret', extensions: { code: 'SECRET' } }] })), [['vms', 0, 'createdBy'], ['vms', 1, 'createdBy']]],
    ['without a word', lying(() => ({ data: null, errors: [{}] })), [['vms', 0, 'createdBy'], ['vms', 1, 'createdBy']]],
    ['about where', lying(() => ({ data: { _entities: null }, errors: [{ message: 'secret', path: ['_entities', 99, '__proto__'] }] })), [['vms', 0, 'createdBy'], ['vms', 1, 'createdBy']]],
  ])('%s costs what it lies about, with one error for each', async (_what, behave, paths) => {
    identity.behave = behave;
    const answer = await list();
    expect(answer.status).toBe(200);
    expect(answer.data).toEqual({ vms: [{ name: 'a', createdBy: null }, { name: 'b', createdBy: null }] });
    expect(answer.errors).toEqual(paths.map((path) => ({ message: 'Something went wrong inside NovaCron.', path, extensions: { code: 'INTERNAL', retryable: false, requestId: expect.any(String) } })));
    tellsNothing(answer);
  });

  it('about one costs that one', async () => {
    identity.behave = lying(([first]) => ({ data: { _entities: [first, []] } }));
    const answer = await list();
    expect(answer.data).toEqual({ vms: [{ name: 'a', createdBy: { email: expect.stringContaining('@') } }, { name: 'b', createdBy: null }] });
    expect(answer.errors).toMatchObject([{ path: ['vms', 1, 'createdBy'], extensions: { code: 'INTERNAL' } }]);
  });

  it('says more than it was asked, and nobody hears it', async () => {
    const entity = '{"email":"a@b.example","password":"secret","__proto__":{"polluted":"secret"},"constructor":{"prototype":{"polluted":"secret"}}}';
    identity.behave = lying((users) => `{"data":{"_entities":[${users.map(() => entity).join()}],"__proto__":{"polluted":"secret"}},"extensions":{"tracing":"secret"}}`);
    const answer = await list();
    expect(answer.errors).toEqual([]);
    expect(answer.data).toEqual({ vms: ['a', 'b'].map((name) => ({ name, createdBy: { email: 'a@b.example' } })) });
    tellsNothing(answer);
    expect(Object.prototype).not.toHaveProperty('polluted');
  });

  it('about a list that others go on from costs that list', async () => {
    vmsElsewhere = { name: 'vms', process: async () => ({ data: { vms: 'secret' } }), close: async () => {} };
    const answer = await list();
    expect(answer).toMatchObject({ data: { vms: null }, errors: [{ path: ['vms'], extensions: { code: 'INTERNAL' } }] });
    tellsNothing(answer);
  });

  it('keeps its domain errors', async () => {
    identity.behave = lying(() => ({ data: { _entities: [null, null] }, errors: [{ message: 'Not yours.', path: ['_entities', 1], extensions: { code: 'FORBIDDEN', retryable: false } }] }));
    const answer = await list();
    expect(answer.errors).toEqual([{ message: 'Not yours.', path: ['vms', 1, 'createdBy'], extensions: { code: 'FORBIDDEN', retryable: false, requestId: expect.any(String) } }]);
  });
});

it('a mutation whose answer is lost says that nobody knows, and what to do', async () => {
  const lost = await startWaywardServer((response) => response.destroy());
  const source = createHttpDataSource({ name: 'vms', url: lost.url, signRequest });
  vmsElsewhere = source;
  const variables = { input: { name: 'x', memory: '1GiB' } };
  const { data, errors } = await fixture.query('mutation ($input: CreateVmInput!) { createVm(input: $input) }', { token, variables });
  expect(data).toEqual({ createVm: null });
  expect(errors).toEqual([
    {
      message: 'The service "vms" gave no answer: whether the mutation took effect is not known. Look before you send it again: only an idempotencyKey makes that safe.',
      path: ['createVm'],
      extensions: { code: 'UNAVAILABLE', retryable: false, requestId: expect.any(String) },
    },
  ]);
  expect(lost.asked).toBe(1);
  await source.close();
  await lost.stop();
});

it('a subgraph in this process that is too slow costs its own fields', async () => {
  const gate = Promise.withResolvers<object>();
  vmsElsewhere = { name: 'vms', process: () => gate.promise, close: async () => {} };
  identity.behave = json({ data: { me: 'someone' } });
  const begun = performance.now();
  const { data, errors } = await list('{ me vms { name } }');
  expect(performance.now() - begun).toBeLessThan(TIMEOUT_MS * 3);
  expect(data).toEqual({ me: 'someone', vms: null });
  expect(errors).toMatchObject([{ message: 'The service "vms" did not answer in time.', path: ['vms'], extensions: { code: 'UNAVAILABLE', retryable: true } }]);
  gate.resolve({ data: { vms: [] } });
});

it('an event is told although what it does not carry can\'t be read', async () => {
  const client = await connect(token);
  const received = await subscribed(() => client.subscribe('subscription { vmChanged { cursor type vm { name tags createdBy { email } } } }'));
  const [vm] = vms;
  if (vm === undefined) throw new Error('no VM');
  identity.behave = json('[]');
  change(vm, { name: 'c' });
  const [first] = await received.until(1);
  expect(first?.data).toMatchObject({ vmChanged: { type: 'vm.changed', vm: { name: 'c', tags: [], createdBy: null } } });
  expect(first?.errors).toMatchObject([{ path: ['vmChanged', 'vm', 'createdBy'], extensions: { code: 'UNAVAILABLE' } }]);

  vmsElsewhere = { name: 'vms', process: () => Promise.reject(new Error('secret')), close: async () => {} };
  change(vm, { name: 'd' });
  const [, second] = await received.until(2);
  expect(second).toMatchObject({ data: null, errors: [{ extensions: { code: 'UNAVAILABLE' } }], extensions: { cursor: expect.any(String) } }); // tags are never null, and where they stand is not, either
  expect(JSON.stringify(second)).not.toMatch(INTERNALS);
});

describe('a service that is killed', () => {
  const start = async (port = 0): Promise<{ child: ChildProcess; port: number }> => {
    const child = spawn(process.execPath, [join(import.meta.dirname, 'subgraph-process.ts')], {
      env: { ...process.env, NAME: 'identity', PORT: String(port), PUBLIC_KEY: publicKey.export({ type: 'spki', format: 'pem' }) as string }, // PEM is text
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    onTestFinished(() => void child.kill('SIGKILL'));
    const [chunk] = (await once(child.stdout, 'data')) as [Buffer];
    return { child, port: Number(chunk.toString()) };
  };

  it('is left alone until it is back, says /ready and a metric, and the rest goes on', async () => {
    const first = await start();
    const source = createHttpDataSource({ name: 'identity', url: `http://127.0.0.1:${first.port}`, signRequest });
    const own = await startGateway({ options: { subgraphTimeoutMs: 2_000 }, dataSources: (sources) => ({ ...sources, identity: source }) });
    const mine = own.authority.signIn([['viewer', own.tenant]]).token;
    own.world.addVm(own.tenant);
    const ask = () => own.query('{ requestId vms { name } }', { token: mine });
    const ready = async () => {
      const response = await fetch(`${own.gateway.url}/ready`);
      return { status: response.status, ...((await response.json()) as { ready: boolean; subgraphs: Record<string, string> }) };
    };
    expect(await ready()).toMatchObject({ status: 200, ready: true, subgraphs: { identity: 'closed', vms: 'closed', monitoring: 'closed' } });
    expect((await ask()).errors).toEqual([]);

    first.child.kill('SIGKILL');
    await once(first.child, 'exit');
    await eventually('the circuit to open', async () => {
      expect(await ask()).toMatchObject({ data: { requestId: null, vms: [{ name: 'web' }] }, errors: [{ path: ['requestId'], extensions: { code: 'UNAVAILABLE', retryable: true } }] });
      return (await ready()).subgraphs['identity'] === 'open';
    });
    expect(await ready()).toMatchObject({ status: 200, ready: true });
    expect(await own.metric('novacron_subgraph_circuit{subgraph="identity"}')).toBe(2);
    expect(await own.metric('novacron_subgraph_failures_total')).toBeGreaterThan(0);

    await start(first.port);
    await eventually('the circuit to close', async () => (await ask()).errors.length === 0, { timeoutMs: 20_000 });
    expect(await ready()).toMatchObject({ subgraphs: { identity: 'closed' } });
    expect(await own.metric('novacron_subgraph_circuit{subgraph="identity"}')).toBe(0);
    await own.close();
    await source.close();
  });
});
