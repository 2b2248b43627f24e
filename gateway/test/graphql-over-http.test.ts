import { createHash } from 'node:crypto';
import { request as httpRequest } from 'node:http';
import { serverAudits } from 'graphql-http';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startGateway, type Fixture } from './gateway-fixture.ts';

let fixture: Fixture;
let url: string;

beforeAll(async () => {
  fixture = await startGateway({ options: { allowedOrigins: ['https://dashboard.example'], requestTimeoutMs: 300 } });
  url = `${fixture.gateway.url}/graphql`;
});
afterAll(() => fixture.close());

const JSON_TYPE = 'application/json';
const GRAPHQL_TYPE = 'application/graphql-response+json';
const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

const post = (body: unknown, headers: Record<string, string> = {}) =>
  fetch(url, { method: 'POST', headers: { 'content-type': JSON_TYPE, ...headers }, body: typeof body === 'string' ? body : JSON.stringify(body) });
const get = (search: Record<string, string>, headers: Record<string, string> = {}) => fetch(`${url}?${new URLSearchParams(search)}`, { headers });
const codeOf = async (response: Response): Promise<unknown> => ((await response.json()) as { errors?: { extensions: { code: string } }[] }).errors?.[0]?.extensions.code;

/** Fetch would add Sec-Fetch-Mode. */
const plainGet = (search: Record<string, string>, headers: Record<string, string> = {}): Promise<{ status: number }> =>
  new Promise((resolve, reject) => {
    httpRequest(`${url}?${new URLSearchParams(search)}`, { headers, agent: false }, (response) => resolve({ status: response.resume().statusCode ?? 0 }))
      .on('error', reject)
      .end();
  });

describe("graphql-http's audit", () => {
  it.each(serverAudits({ url: () => url }).map((audit) => [audit.id, audit.name, audit.fn] as const))('%s: %s', async (_id, _name, run) => {
    const result = await run();
    expect(result.status === 'ok' ? 'ok' : result.reason).toBe('ok');
  });
});

describe('the media type', () => {
  it.each([
    [undefined, JSON_TYPE],
    ['*/*', JSON_TYPE],
    ['application/*', JSON_TYPE],
    [`${GRAPHQL_TYPE}, ${JSON_TYPE};q=0.9`, GRAPHQL_TYPE],
    [`${GRAPHQL_TYPE};q=0.3, ${JSON_TYPE};q=0.4`, JSON_TYPE],
    [`${JSON_TYPE};q=0, */*;q=0.1`, GRAPHQL_TYPE],
    [`${JSON_TYPE}; charset=UTF-8`, JSON_TYPE],
    [`multipart/mixed, ${JSON_TYPE}`, JSON_TYPE],
  ])('for %s is %s', async (accept, type) => {
    const response = await post({ query: '{ __typename }' }, accept === undefined ? {} : { accept });
    expect([response.status, response.headers.get('content-type')]).toEqual([200, `${type}; charset=utf-8`]);
    expect(response.headers.get('vary')).toContain('accept');
    expect(response.headers.get('cache-control')).toBe('no-store');
  });

  it.each(['text/plain', `${JSON_TYPE};q=0`, `${JSON_TYPE}; charset=iso-8859-1`])('that the client takes can not be %s', async (accept) => {
    const response = await post({ query: '{ __typename }' }, { accept });
    expect([response.status, response.headers.get('content-type'), await codeOf(response)]).toEqual([406, `${JSON_TYPE}; charset=utf-8`, 'BAD_REQUEST']);
  });

  it.each([
    [{ query: '{' }, 'GRAPHQL_PARSE_FAILED'],
    [{ query: '{ nothing }' }, 'GRAPHQL_VALIDATION_FAILED'],
    [{ query: 'query A { me } query B { me }' }, 'OPERATION_RESOLUTION_FAILURE'],
    [{ query: '{ me }', operationName: 'B' }, 'OPERATION_RESOLUTION_FAILURE'],
    [{ query: 'query ($id: ID!) { vm(id: $id) { name } }' }, 'BAD_USER_INPUT'],
    [{ query: 'query ($id: ID!) { vm(id: $id) { name } }', variables: { id: {} } }, 'BAD_USER_INPUT'],
  ])('decides the status of %j', async (body, code) => {
    for (const [accept, status] of [[JSON_TYPE, 200], [GRAPHQL_TYPE, 400]] as const) {
      const response = await post(body, { accept });
      const answer = (await response.json()) as { errors: { extensions: object }[] };
      expect([response.status, Object.keys(answer)]).toEqual([status, ['errors']]);
      expect(answer.errors[0]?.extensions).toMatchObject({ code, requestId: response.headers.get('x-request-id') });
    }
  });

  it('changes nothing where fields fail', async () => {
    for (const accept of [JSON_TYPE, GRAPHQL_TYPE]) {
      const response = await post({ query: '{ refused requestId }' }, { accept });
      expect(response.status).toBe(200);
      expect(await response.json()).toMatchObject({ data: { refused: null, requestId: expect.any(String) }, errors: [{ path: ['refused'] }] });
    }
  });

  it.each([JSON_TYPE, GRAPHQL_TYPE])('changes nothing for a token that is no good (%s)', async (accept) => {
    const response = await post({ query: '{ requestId }' }, { accept, authorization: 'Bearer nonsense' });
    expect([response.status, await codeOf(response)]).toEqual([401, 'UNAUTHENTICATED']);
  });
});

describe('a POST', () => {
  it.each([
    ['text/plain', '{}', 415],
    ['application/graphql', '{ me }', 415],
    ['application/x-www-form-urlencoded', 'query=%7Bme%7D', 415],
    ['multipart/form-data; boundary=x', '--x--', 415],
    ['no type', '{}', 415],
    [`${JSON_TYPE}; charset=utf-16`, '{}', 415],
    [`${JSON_TYPE}; charset=utf-8`, '{', 400],
    [JSON_TYPE, '', 400],
    [JSON_TYPE, 'null', 400],
    [JSON_TYPE, '"{ me }"', 400],
    [JSON_TYPE, '[{"query":"{ me }"}]', 400],
    [JSON_TYPE, '{"query":"{ me }","__proto__":{"a":1}}', 400],
    [JSON_TYPE, '{"query":""}', 400],
    [JSON_TYPE, `{"query":"{ me } #${'x'.repeat(300_000)}"}`, 413],
  ])('of %s with %.40s is %i', async (type, body, status) => {
    const response = await post(body, { 'content-type': type });
    expect([response.status, await codeOf(response)]).toEqual([status, 'BAD_REQUEST']);
  });

  it('that is compressed, or is not in UTF-8, is refused', async () => {
    const compressed = await post('{}', { 'content-encoding': 'gzip' });
    expect([compressed.status, compressed.headers.get('accept-encoding')]).toEqual([415, 'identity']);
    const latin1 = await fetch(url, { method: 'POST', headers: { 'content-type': JSON_TYPE }, body: Buffer.from('{"query":"{ me } # \xe9"}', 'latin1') });
    expect([latin1.status, await codeOf(latin1)]).toEqual([400, 'BAD_REQUEST']);
  });
});

describe('a GET', () => {
  it('reads', async () => {
    const vm = fixture.world.addVm(fixture.tenant, { name: 'web-1' });
    const { token } = fixture.authority.signIn([['viewer', fixture.tenant]]);
    const search = { query: 'query One { me } query Vm($id: ID!) { vm(id: $id) { name } }', operationName: 'Vm', variables: JSON.stringify({ id: vm.id }) };
    expect(await (await get(search, { authorization: `Bearer ${token}` })).json()).toEqual({ data: { vm: { name: 'web-1' } } });
  });

  it.each([JSON_TYPE, GRAPHQL_TYPE])('never writes (%s)', async (accept) => {
    const response = await get({ query: 'mutation { createVm(input: { name: "web", memory: 1 }) }' }, { accept });
    expect([response.status, response.headers.get('allow'), await codeOf(response)]).toEqual([405, 'POST', 'BAD_REQUEST']);
  });

  it.each([
    ['without a query', {}],
    ['with variables that are no JSON', { query: '{ me }', variables: '{' }],
    ['with variables that are no object', { query: '{ me }', variables: '[]' }],
    ['with extensions that are no object', { query: '{ me }', extensions: '1' }],
  ])('%s is refused', async (_what, search) => {
    expect((await get(search as Record<string, string>)).status).toBe(400);
  });

  it('says each thing once', async () => {
    expect((await fetch(`${url}?query={me}&query={requestId}`)).status).toBe(400);
  });

  const query = { query: '{ requestId }' };
  it.each([
    ['nothing that asks', {}, 400],
    ['a form\'s type', { 'content-type': 'text/plain' }, 400],
    ['an image of a foreign page', { 'sec-fetch-mode': 'no-cors', 'sec-fetch-site': 'cross-site' }, 400],
    ['a foreign page that may not read it', { 'sec-fetch-mode': 'cors', origin: 'https://evil.example' }, 400],
    ['a link', { 'sec-fetch-mode': 'navigate', accept: JSON_TYPE }, 400],
    ['a page of our own', { 'sec-fetch-mode': 'cors', 'sec-fetch-site': 'same-origin' }, 200],
    ['a header that no foreign page sets unasked', { 'apollo-require-preflight': '1' }, 200],
    ['the name of its operation', { 'x-apollo-operation-name': 'Id' }, 200],
    ['a type that no foreign page sets unasked', { 'content-type': JSON_TYPE }, 200],
  ])('with %s is answered as a browser might have been made to send it', async (_what, headers, status) => {
    expect((await plainGet(query, headers)).status).toBe(status);
  });
});

describe('another method', () => {
  it.each(['PUT', 'PATCH', 'DELETE'])('%s is told which there are', async (method) => {
    const response = await fetch(url, { method, body: 'x' });
    expect([response.status, response.headers.get('allow'), await codeOf(response)]).toEqual([405, 'GET, HEAD, POST, OPTIONS', 'BAD_REQUEST']);
  });

  it('OPTIONS names them, HEAD answers without a body', async () => {
    const options = await fetch(url, { method: 'OPTIONS' });
    expect([options.status, options.headers.get('allow')]).toEqual([204, 'GET, HEAD, POST, OPTIONS']);
    const head = await fetch(`${url}?query={requestId}`, { method: 'HEAD' });
    expect([head.status, head.headers.get('content-type'), await head.text()]).toEqual([200, `${JSON_TYPE}; charset=utf-8`, '']);
  });
});

describe('a persisted query', () => {
  const query = '{ requestId __typename }';
  const persisted = (hash: string) => ({ persistedQuery: { version: 1, sha256Hash: hash } });

  it('is sent whole once, and named by its hash from then on', async () => {
    const extensions = persisted(sha256(query));
    const unknown = await post({ extensions });
    expect([unknown.status, await unknown.json()]).toMatchObject([200, { errors: [{ message: 'PersistedQueryNotFound', extensions: { code: 'PERSISTED_QUERY_NOT_FOUND' } }] }]);
    expect(await (await post({ query, extensions })).json()).toMatchObject({ data: { __typename: 'Query' } });
    expect(await (await post({ extensions })).json()).toMatchObject({ data: { __typename: 'Query' } });
    expect(await (await get({ extensions: JSON.stringify(extensions) })).json()).toMatchObject({ data: { __typename: 'Query' } });
  });

  it('is not kept when it is not valid', async () => {
    const invalid = '{ nothing }';
    const extensions = persisted(sha256(invalid));
    expect(await codeOf(await post({ query: invalid, extensions }))).toBe('GRAPHQL_VALIDATION_FAILED');
    expect(await codeOf(await post({ extensions }))).toBe('PERSISTED_QUERY_NOT_FOUND');
  });

  it.each([
    ['another hash', persisted(sha256('{ me }'))],
    ['another version', { persistedQuery: { version: 2, sha256Hash: sha256(query) } }],
    ['something else', { persistedQuery: 'yes' }],
  ])('with %s is refused', async (_what, extensions) => {
    expect((await post({ query, extensions })).status).toBe(400);
  });
});

describe('an answer', () => {
  const introspection = { query: '{ __schema { types { name description fields { name description } } } }' };

  it.each(['br', 'gzip'])('is compressed as %s', async (encoding) => {
    const response = await post(introspection, { 'accept-encoding': encoding });
    expect(response.headers.get('content-encoding')).toBe(encoding);
    expect(response.headers.get('vary')).toMatch(/accept.*accept-encoding/);
    expect(await response.json()).toMatchObject({ data: { __schema: {} } });
  });

  it('is not compressed when it is small, or nobody asks for it', async () => {
    expect((await post({ query: '{ __typename }' }, { 'accept-encoding': 'gzip' })).headers.get('content-encoding')).toBeNull();
    expect((await post(introspection, { 'accept-encoding': 'identity' })).headers.get('content-encoding')).toBeNull();
  });

  it.each([JSON_TYPE, GRAPHQL_TYPE])('that takes too long is given up (%s)', async (accept) => {
    const { token } = fixture.authority.signIn([]);
    fixture.authority.stuck.add(token);
    const response = await post({ query: '{ me }' }, { accept, authorization: `Bearer ${token}` });
    expect(response.status).toBe(504);
    expect(await response.json()).toEqual({ errors: [{ message: 'The answer took longer than 0.3 s.', extensions: { code: 'UNAVAILABLE', retryable: true, requestId: expect.any(String) } }] });
  });
});

describe('a page of another origin', () => {
  const preflight = (origin: string) =>
    fetch(url, { method: 'OPTIONS', headers: { origin, 'access-control-request-method': 'POST', 'access-control-request-headers': 'authorization,content-type' } });
  const corsHeaders = ({ headers }: Response) => [...headers].filter(([name]) => name.startsWith('access-control-'));

  it('that is allowed may send what it has to, and remembers that for two hours', async () => {
    const response = await preflight('https://dashboard.example');
    expect([response.status, await response.text()]).toEqual([204, '']);
    expect(Object.fromEntries(corsHeaders(response))).toEqual({
      'access-control-allow-origin': 'https://dashboard.example',
      'access-control-allow-methods': 'GET, HEAD, POST, PUT, PATCH, DELETE',
      'access-control-allow-headers': expect.stringMatching(/\bauthorization\b.*\bcontent-type\b.*\bapollo-require-preflight\b/),
      'access-control-max-age': '7200',
    });
    expect(response.headers.get('vary')).toBe('origin, access-control-request-method, access-control-request-headers');
  });

  it('that is allowed reads answers, without credentials that travel by themselves', async () => {
    const response = await post({ query: '{ requestId }' }, { origin: 'https://dashboard.example' });
    expect(Object.fromEntries(corsHeaders(response))).toEqual({ 'access-control-allow-origin': 'https://dashboard.example', 'access-control-expose-headers': expect.stringContaining('x-request-id') });
    expect(response.headers.get('vary')).toContain('origin');
  });

  it.each(['https://evil.example', 'null', 'https://dashboard.example.evil.example', 'http://dashboard.example'])('%s is told nothing', async (origin) => {
    const asked = await preflight(origin);
    expect([asked.status, corsHeaders(asked)]).toEqual([204, []]);
    const answered = await post({ query: '{ requestId }' }, { origin });
    expect([corsHeaders(answered), answered.headers.get('vary')]).toEqual([[], expect.stringContaining('origin')]);
  });
});
