import { eventually, json, startWaywardServer, type Behaviour, type WaywardServer } from '@novacron/testkit';
import { pino } from 'pino';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createProtection, openPool, postJson, SubgraphFailure, type DataSource, type Protection } from '../src/index.ts';

const lines: Record<string, unknown>[] = [];
const logger = pino({ level: 'info' }, { write: (line: string) => void lines.push(JSON.parse(line)) });

/** What the wrapper counts, in order. */
const counted: string[] = [];
const metrics = {
  failed: (name: string, reason: string) => void counted.push(`${name} ${reason}`),
  retried: (name: string) => void counted.push(`${name} retried`),
  circuit: (name: string, state: string) => void counted.push(`${name} ${state}`),
};

/** A plain subgraph over HTTP: no token, no contract of NovaCron's. */
function plainSource(url: string): DataSource<object> {
  const pool = openPool(url);
  return {
    name: 'wayward',
    async process({ query, variables, signal = new AbortController().signal }) {
      const { body } = await postJson(pool, { path: '/graphql', body: JSON.stringify({ query, variables }), signal });
      return body as object; // the wrapper looks
    },
    close: () => pool.destroy(),
  };
}

const fine = { data: { name: 'web' } };
let server: WaywardServer;
let protection: Protection<object>;
let source: DataSource<object>;
const open: DataSource<object>[] = [];

/** For what has to wait for it. */
const SHORT = { timeoutMs: 300 };

const protect = (raw: DataSource<object>, { timeoutMs = 20_000, operationTimeoutMs = 20_000 } = {}) => {
  protection = createProtection({ timeoutMs, operationTimeoutMs, metrics, logger });
  const made = protection.protect(raw);
  open.push(made);
  return made;
};
const ask = (query = '{ name }', variables?: Record<string, unknown>, context: object = { requestId: 'request-1' }) => source.process({ query, variables, context });

beforeAll(async () => {
  server = await startWaywardServer(json(fine));
});
beforeEach(() => {
  server.behave = json(fine);
  source = protect(plainSource(server.url));
  server.asked = 0;
  lines.length = 0;
  counted.length = 0;
});
afterAll(async () => {
  await Promise.all(open.map((each) => each.close()));
  await server.stop();
});

const unavailable = (what = "can't be reached") => ({ errors: [{ message: `The service "wayward" ${what}.`, extensions: { code: 'UNAVAILABLE', retryable: true } }] });

/** A body that never ends. */
const drip: Behaviour = (response) => {
  response.writeHead(200, { 'content-type': 'application/json' });
  const timer = setInterval(() => response.write(' '), 20);
  response.on('close', () => clearInterval(timer));
};
const reset: Behaviour = (response) => {
  response.writeHead(200, { 'content-type': 'application/json' }).write('{"data":');
  setImmediate(() => response.destroy());
};
const huge: Behaviour = (response) => {
  response.on('error', () => {}); // hung up on is what it waits for
  response.writeHead(200, { 'content-type': 'application/json' });
  const chunk = Buffer.alloc(2 ** 20, 32);
  for (let sent = 0; sent < 34; sent += 1) response.write(chunk);
  response.end('{}');
};

describe('an answer that is none', () => {
  it.each<[string, Behaviour, string, string, number]>([
    ['resets in the middle of the body', reset, 'broken', "can't be reached", 3],
    ['hangs up at once', (response) => response.destroy(), 'broken', "can't be reached", 3],
    ['is away behind its proxy', json('<html>', 503, 'text/html'), 'broken', "can't be reached", 3],
    ['never answers', () => {}, 'late', 'did not answer in time', 1],
    ['drips for ever', drip, 'late', 'did not answer in time', 1],
    ['sends 34 MiB', huge, 'unusable', "can't be reached", 1],
    ['sends HTML', json('<html>', 200, 'text/html'), 'unusable', "can't be reached", 1],
    ['sends JSON as text', json(fine, 200, 'text/plain'), 'unusable', "can't be reached", 1],
    ['breaks as HTML with 500', json('Error: at /srv/app.js:1', 500, 'text/html'), 'unusable', "can't be reached", 1],
    ['sends half of its JSON', json('{"data":{'), 'unusable', "can't be reached", 1],
    ['sends nothing', json(''), 'unusable', "can't be reached", 1],
    ['sends null', json('null'), 'unusable', "can't be reached", 1],
    ['sends a list', json([fine]), 'unusable', "can't be reached", 1],
    ['sends a string', json('"data"'), 'unusable', "can't be reached", 1],
    ['sends no data', json({}), 'unusable', "can't be reached", 1],
    ['sends data that is a list', json({ data: [] }), 'unusable', "can't be reached", 1],
    ['sends no data and no error', json({ data: null, errors: [] }), 'unusable', "can't be reached", 1],
    ['sends errors that are a text', json({ errors: 'down' }), 'unusable', "can't be reached", 1],
    ['sends the prototype', json('{"__proto__":{"data":{"name":"x"}}}'), 'unusable', "can't be reached", 1],
    ['sends us elsewhere', (response) => response.writeHead(302, { location: 'http://127.0.0.1:9/' }).end(), 'unusable', "can't be reached", 1],
  ])('of one that %s is UNAVAILABLE, and why is in the log only', async (_what, behave, reason, said, asked) => {
    if (reason === 'late') source = protect(plainSource(server.url), SHORT);
    server.behave = behave;
    expect(await ask()).toEqual(unavailable(said));
    expect(server.asked).toBe(asked);
    expect(lines).toMatchObject([{ level: 50, subgraph: 'wayward', requestId: 'request-1', reason, retries: asked - 1 }]);
    expect(counted.filter((each) => !/ (retried|closed)$/.test(each))).toEqual([`wayward ${reason}`]);
  });

  it('gives up the work of one that is too slow', async () => {
    server.left = 0;
    source = protect(plainSource(server.url), SHORT);
    server.behave = () => {};
    expect(await ask()).toEqual(unavailable('did not answer in time'));
    await eventually('the connection to be closed', () => server.left === 1);
  });

  it('is given up with the request that wants it', async () => {
    server.behave = () => {};
    const client = new AbortController();
    const answer = source.process({ query: '{ name }', context: {}, signal: client.signal });
    await eventually('the question', () => server.asked === 1);
    client.abort();
    expect(await answer).toEqual(unavailable('did not answer in time'));
  });
});

describe('errors', () => {
  it('lose all that names the inside', async () => {
    const extensions = { code: 'NOT_FOUND', field: 'id', retryable: false, stacktrace: ['at /srv/app.js:1'], exception: { host: '10.0.0.7' }, serviceName: 'x' };
    server.behave = json({ data: { name: null }, errors: [{ message: 'No such VM.', path: ['name'], locations: [{ line: 1, column: 1 }], extensions }], extensions: { tracing: 'host-7' } });
    expect(await ask()).toEqual({ data: { name: null }, errors: [{ message: 'No such VM.', path: ['name'], extensions: { code: 'NOT_FOUND', field: 'id', retryable: false } }] });
  });

  it.each([[{}], [null], ['text'], [{ message: 5, path: 'name', extensions: 'x' }], [{ message: '' }]])('without a message are INTERNAL: %j', async (error) => {
    server.behave = json({ data: { name: null }, errors: [error] });
    expect((await ask()).errors).toEqual([{ message: 'It did not say what is wrong.', extensions: { code: 'INTERNAL' } }]);
  });

  it('are a thousand at most', async () => {
    server.behave = json({ data: null, errors: Array.from({ length: 5_000 }, () => ({ message: 'x' })) });
    expect((await ask()).errors).toHaveLength(1_000);
  });
});

describe('a query', () => {
  it('is asked again, and nobody notices', async () => {
    server.behave = (response, question) => (server.asked === 1 ? response.destroy() : json(fine)(response, question));
    expect(await ask()).toEqual(fine);
    expect([server.asked, counted, lines]).toEqual([2, ['wayward retried'], []]);
  });

  it.each([
    ['nothing came of it', { data: { _entities: [null, null] } }, 3],
    ['there is no data', { data: null }, 3],
    ['some of it was answered', { data: { name: 'web', host: null } }, 1],
  ])('that is UNAVAILABLE is asked again when %s', async (_what, answer, asked) => {
    const whole = { ...answer, errors: [{ message: 'The database is away.', extensions: { code: 'UNAVAILABLE', retryable: true } }] };
    server.behave = json(whole);
    expect(await ask()).toEqual(whole);
    expect(server.asked).toBe(asked);
  });

  it.each([
    [{ code: 'UNAVAILABLE', retryable: false }],
    [{ code: 'NOT_FOUND', retryable: true }],
  ])('is not asked again for %j', async (extensions) => {
    server.behave = json({ data: null, errors: [{ message: 'x', extensions }] });
    await ask();
    expect(server.asked).toBe(1);
  });

  it('is asked again a fifth of the time at most', async () => {
    const away = json({ data: null, errors: [{ message: 'x', extensions: { code: 'UNAVAILABLE', retryable: true } }] });
    server.behave = away;
    const requests = 200;
    for (let sent = 0; sent < requests; sent += 20) await Promise.all(Array.from({ length: 20 }, () => ask()));
    expect(server.asked).toBeGreaterThan(requests);
    expect(server.asked).toBeLessThanOrEqual(requests * 1.2 + 10);
  });

  it('has no more time than its operation', async () => {
    source = protect(plainSource(server.url), { timeoutMs: 600, operationTimeoutMs: 850 });
    server.behave = () => {};
    const context = {};
    const begun = performance.now();
    for (const _step of [1, 2, 3]) expect(await ask('{ name }', {}, context)).toEqual(unavailable('did not answer in time'));
    expect(performance.now() - begun).toBeLessThan(2_000);
    expect(counted.slice(1)).toEqual(['wayward late', 'wayward hurried', 'wayward expired']);
  });
});

describe('a mutation', () => {
  const unknown = 'The service "wayward" gave no answer: whether the mutation took effect is not known.';
  const safe = { message: `${unknown} Send it again with the same idempotencyKey: it takes effect once.`, extensions: { code: 'UNAVAILABLE', retryable: true } };
  const unsafe = { message: `${unknown} Look before you send it again: only an idempotencyKey makes that safe.`, extensions: { code: 'UNAVAILABLE', retryable: false } };
  const create = 'mutation Create__vms__0($input: Input!) { createVm(input: $input) { id } }';

  it.each<[string, string, Record<string, unknown>, object]>([
    ['with its key in a variable', create, { input: { name: 'web', idempotencyKey: 'k' } }, safe],
    ['with its key in the text', 'mutation { createVm(input: { idempotencyKey: "k" }) { id } }', {}, safe],
    ['with its key in a variable of its own', 'mutation ($k: String) { createVm(input: { idempotencyKey: $k }) { id } }', { k: 'k' }, safe],
    ['with a variable for a key that has none', 'mutation ($k: String) { createVm(input: { idempotencyKey: $k }) { id } }', {}, unsafe],
    ['with null for a key', create, { input: { idempotencyKey: null } }, unsafe],
    ['without a key', 'mutation { startVm(id: "1") { id } }', {}, unsafe],
  ])('%s is sent once, and that its outcome is unknown is said', async (_what, query, variables, error) => {
    server.behave = reset;
    expect(await ask(query, variables)).toEqual({ errors: [error] });
    expect(server.asked).toBe(1);
  });

  it('that never left is just UNAVAILABLE', async () => {
    source = protect(plainSource('http://127.0.0.1:9'));
    expect(await ask(create, {})).toEqual(unavailable());
  });
});

describe('a circuit', () => {
  const fail = async (times: number) => {
    for (let count = 0; count < times; count += 1) await ask('mutation { x }');
  };

  it('opens when most of it fails, answers at once meanwhile, and closes when the service is back', async () => {
    const own = await startWaywardServer(json(fine));
    source = protect(plainSource(own.url), { timeoutMs: 1_000 });
    expect(await ask()).toEqual(fine);
    await own.stop();
    await fail(6);
    expect(protection.circuits()).toEqual({ wayward: 'open' });
    counted.length = 0;
    const again = await startWaywardServer(() => {}, own.port);
    const begun = performance.now();
    expect(await ask('mutation { x }')).toEqual(unavailable());
    expect(performance.now() - begun).toBeLessThan(500);
    expect([again.asked, counted]).toEqual([0, ['wayward open']]);

    // One request tries it; others do not wait for that one.
    const answers: ReturnType<typeof ask>[] = [];
    await eventually('a request to be let through', () => {
      answers.push(ask());
      return again.asked === 1;
    });
    expect(await ask()).toEqual(unavailable());
    expect(await Promise.all(answers)).toContainEqual(unavailable('did not answer in time'));
    expect([again.asked, protection.circuits()]).toEqual([1, { wayward: 'open' }]);

    again.behave = json(fine);
    await eventually('an answer', async () => (await ask()).data);
    expect(protection.circuits()).toEqual({ wayward: 'closed' });
    expect(lines.map(({ circuit }) => circuit).filter(Boolean)).toEqual(['open', 'half-open', 'open', 'half-open', 'closed']);
    await again.stop();
  });

  it('stays closed for errors that a service answers', async () => {
    server.behave = json({ data: null, errors: [{ message: 'x', extensions: { code: 'UNAVAILABLE', retryable: true } }] });
    await fail(20);
    expect(protection.circuits()).toEqual({ wayward: 'closed' });
  });

  it('guards what runs in this process, too: its answer is dropped when it comes too late', async () => {
    const gate = Promise.withResolvers<object>();
    source = protect({ name: 'wayward', process: () => gate.promise, close: async () => {} }, SHORT);
    expect(await Promise.all(Array.from({ length: 6 }, () => ask()))).toEqual(Array.from({ length: 6 }, () => unavailable('did not answer in time')));
    expect(protection.circuits()).toEqual({ wayward: 'open' });
    gate.reject(new Error('nobody listens any more'));
  });

  it('counts whatever a source throws', async () => {
    const thrown: unknown[] = [new Error('secret'), 'text', undefined, new SubgraphFailure('unusable'), null];
    let next = 0;
    source = protect({ name: 'wayward', process: () => Promise.reject(thrown[next++ % thrown.length]), close: async () => {} });
    for (const _each of thrown) expect(await ask('mutation { x }')).toMatchObject({ errors: [{ extensions: { code: 'UNAVAILABLE' } }] });
    expect(protection.circuits()).toEqual({ wayward: 'open' });
  });
});
