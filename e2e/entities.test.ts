import { createHash, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { UPLOADED_FILES_PATH, type RequestContext, type Viewer } from '@novacron/contracts';
import { checkKeys } from '@novacron/gateway';
import { eventually } from '@novacron/testkit';
import { createHttpAuthenticator, createInProcessDataSource, createRequestSigner, loadOrCreateInternalKeys, type DataSource, type HttpAuthenticator } from '@novacron/transport';
import { SignJWT } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SUBGRAPHS, type SubgraphName } from '../app/src/services.ts';
import { startSystem, type System } from '../app/src/system.ts';
import { ENTITY_CASES } from './authorization/all.ts';
import { everybodys, type Outcome, type SignedInActor, type Subject } from './authorization/cases.ts';
import { Fixtures } from './authorization/fixtures.ts';
import type { Loose } from './kit/client.ts';
import { startEmbedded, type Embedded } from './kit/embedded.ts';
import { makePeople, type People } from './kit/people.ts';
import { apiSchema, resolvableEntities, SUPERGRAPH_SDL, undescribed } from './kit/supergraph.ts';

describe('the public graph', () => {
  it('describes every type, field, argument and enum value', () => {
    expect(undescribed(apiSchema())).toEqual([]);
  });

  it('gives resolvable keys to owners and contributors only', () => {
    expect(checkKeys(SUPERGRAPH_SDL)).toEqual([]);
  });

  it('has no door to the subgraphs', () => {
    const { queryType, typeNames } = { queryType: apiSchema().getQueryType(), typeNames: Object.keys(apiSchema().getTypeMap()) };
    expect(Object.keys(queryType?.getFields() ?? {})).not.toEqual(expect.arrayContaining([expect.stringMatching(/^_/)]));
    expect(typeNames.filter((name) => name.startsWith('_') && !name.startsWith('__'))).toEqual([]);
  });

  it('has a case for every entity that a subgraph can be asked for, and none for what is not there', () => {
    expect(Object.keys(ENTITY_CASES).toSorted()).toEqual(resolvableEntities().toSorted());
  });
});

let system: Embedded;
let people: People;
let subject: Subject;
let sources: Map<string, DataSource>;
/** Every service in a process without a gateway. */
let served: System;
let privateKey: KeyObject;
let authenticator: HttpAuthenticator;
const opened = new AsyncDisposableStack();

beforeAll(async () => {
  system = await startEmbedded({}, { hosts: 2 });
  opened.defer(() => system.close());
  people = await makePeople(system.graph);
  const { environment, databaseUrl, redisUrl, logger } = system;
  ({ privateKey } = await loadOrCreateInternalKeys(environment.keys.internal));
  served = await startSystem({ roles: SUBGRAPHS, environment, databaseUrl, redisUrl, logger, agentHost: null, isAccelerated: () => Promise.resolve(false) });
  opened.defer(() => served.close());
  sources = new Map(Object.entries(served.subgraphs).map(([name, subgraph]) => [name, createInProcessDataSource(subgraph, logger)]));
  authenticator = createHttpAuthenticator({ name: 'identity', url: served.subgraphUrl ?? '', signRequest: createRequestSigner(privateKey), logger });
  opened.defer(() => authenticator.close());
  const made = await (await Fixtures.open(system, people)).subject();
  ({ subject } = made);
  await eventually('the VM to be measured', async () => (await made.vm.read('metrics { cpu }'))['metrics'] !== null, { timeoutMs: 20_000 });
}, 120_000);
afterAll(() => opened.disposeAsync());

const viewerOf = async (actor: 'anonymous' | SignedInActor): Promise<Viewer | null> =>
  actor === 'anonymous' ? null : (await authenticator.authenticate(people[actor].token, null)).viewer;

const contextOf = (viewer: Viewer | null): RequestContext => ({ viewer, requestId: 'e2e', address: null, userAgent: null });

const ENTITIES = (type: string, fields: string) => `query ($of: [_Any!]!) { _entities(representations: $of) { ... on ${type} { ${fields} } } }`;

async function entity(source: DataSource, type: string, fields: string, id: string, viewer: Viewer | null): Promise<{ value: Loose | null; code: string | undefined }> {
  const { data, errors } = await source.process({ query: ENTITIES(type, fields), variables: { of: [{ __typename: type, id }] }, context: contextOf(viewer) });
  return { value: (data as Loose | null)?.['_entities']?.[0] ?? null, code: errors?.[0]?.extensions?.['code'] as string | undefined };
}

describe('entities, asked of their subgraph directly', () => {
  it.each(Object.entries(ENTITY_CASES))('%s', async (name, { idOf, fields, shows, expect: row }) => {
    const [service = '', type = ''] = name.split('.');
    const source = sourceOf(service);
    const expected = everybodys(row);
    const answered: Record<string, Outcome> = {};
    for (const actor of Object.keys(expected) as (keyof typeof expected)[]) {
      const { value, code } = await entity(source, type, fields, idOf(subject), await viewerOf(actor));
      if (code !== undefined) answered[actor] = code as Outcome; // compared with what is expected, whatever it is
      else if (value === null) answered[actor] = 'null';
      else answered[actor] = shows(value) ? 'ok' : 'nothing';
    }
    expect(answered).toEqual(expected);
  });

  it.each(Object.entries(ENTITY_CASES))('%s, by what is no id and by an id that nothing has', async (name, { fields, shows, showsEmpty = false }) => {
    const [service = '', type = ''] = name.split('.');
    for (const id of ['', 'no-id', "' OR 1=1 --", '018f0000-0000-7000-8000-000000000000']) {
      const { value, code } = await entity(sourceOf(service), type, fields, id, await viewerOf('platformAdmin'));
      expect(code, `${name} by "${id}"`).not.toBe('INTERNAL');
      expect(value !== null && shows(value), `${name} by "${id}"`).toBe(showsEmpty);
    }
  });
});

const sourceOf = (service: string): DataSource => {
  const source = sources.get(service);
  if (source === undefined) throw new Error(`There is no subgraph ${service}.`);
  return source;
};

describe('entities, asked of their subgraph by an API token that was made for something else', () => {
  it.each(Object.entries(ENTITY_CASES))('%s', async (name, { idOf, fields, shows }) => {
    const [service = '', type = ''] = name.split('.');
    const admin = await viewerOf('platformAdmin');
    const { value, code } = await entity(sourceOf(service), type, fields, idOf(subject), admin && { ...admin, scopes: ['migration:cancel'] });
    expect([undefined, 'FORBIDDEN']).toContain(code);
    expect(value !== null && shows(value)).toBe(false);
  });
});

describe('a subgraph, asked over HTTP', () => {
  const query = JSON.stringify({ query: '{ hosts { totalCount } }' });
  const ANYTHING = JSON.stringify({ query: '{ __typename }' });

  async function post(path: string, token: string | undefined, body = query): Promise<{ status: number; body: string }> {
    const headers = { 'content-type': 'application/json', ...(token === undefined ? {} : { authorization: `Bearer ${token}` }) };
    const response = await fetch(`${served.subgraphUrl}${path}`, { method: 'POST', headers, body });
    return { status: response.status, body: await response.text() };
  }

  const admin = async () => contextOf(await viewerOf('platformAdmin'));

  it('answers what the gateway has signed', async () => {
    const token = await createRequestSigner(privateKey)('vms', query, await admin());
    const { status, body } = await post('/vms/graphql', token);
    expect({ status, ...JSON.parse(body) }).toEqual({ status: 200, data: { hosts: { totalCount: 2 } } });
  });

  const WRONG: Record<string, () => Promise<string | undefined>> = {
    'no token': async () => undefined,
    "a person's access token": async () => people.platformAdmin.token,
    'a token of another key': async () => createRequestSigner(generateKeyPairSync('ed25519').privateKey)('vms', query, await admin()),
    'a token for another subgraph': async () => createRequestSigner(privateKey)('identity', query, await admin()),
    'a token for another body': async () => createRequestSigner(privateKey)('vms', JSON.stringify({ query: '{ vms { totalCount } }' }), await admin()),
    'a token that is too old': async () => {
      const bodySha256 = createHash('sha256').update(query).digest('base64url');
      const longAgo = Math.floor(Date.now() / 1000) - 600;
      return new SignJWT({ ...(await admin()), bodySha256 })
        .setProtectedHeader({ alg: 'EdDSA', typ: 'novacron-internal+jwt' })
        .setIssuer('novacron-gateway')
        .setAudience('vms')
        .setIssuedAt(longAgo)
        .setExpirationTime(longAgo + 30)
        .sign(privateKey);
    },
    'a token that nothing signs': async () => {
      const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
      return `${part({ alg: 'none', typ: 'novacron-internal+jwt' })}.${part({ ...(await admin()), iss: 'novacron-gateway', aud: 'vms' })}.`;
    },
  };

  it.each(Object.entries(WRONG))('refuses %s', async (what, tokenOf) => {
    const token = await tokenOf();
    for (const name of SUBGRAPHS) {
      if (name === 'identity' && what === 'a token for another subgraph') continue; // the one that it is for
      const { status, body } = await post(`/${name}/graphql`, token);
      expect({ name, status, code: JSON.parse(body).errors[0].extensions.code }).toEqual({ name, status: 401, code: 'UNAUTHENTICATED' });
    }
  });

  it.each(SUBGRAPHS)('is there for %s, and for that alone', async (name: SubgraphName) => {
    const token = await createRequestSigner(privateKey)(name, ANYTHING, await admin());
    const answered = await Promise.all(SUBGRAPHS.map(async (other) => [other, (await post(`/${other}/graphql`, token, ANYTHING)).status]));
    expect(answered).toEqual(SUBGRAPHS.map((other) => [other, other === name ? 200 : 401]));
  });

  it.each(['/internal/authenticate', '/internal/jwks'])('guards %s as well', async (path) => {
    const body = JSON.stringify({ accessToken: people.viewer.token });
    expect((await post(path, undefined, body)).status).toBe(401);
    expect((await post(path, people.platformAdmin.token, body)).status).toBe(401);
    expect((await post(path, await createRequestSigner(privateKey)('vms', body, contextOf(null)), body)).status).toBe(401);
    expect((await post(path, await createRequestSigner(privateKey)(path, body, contextOf(null)), body)).status).toBe(200);
  });

  it('has no uploaded file for who has no token of one', async () => {
    for (const token of ['', 'x', '0'.repeat(43), '..%2f..%2fetc%2fpasswd']) {
      expect((await fetch(`${served.subgraphUrl}${UPLOADED_FILES_PATH}/${token}`)).status).toBe(404);
    }
  });
});
