import { createHash, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { RequestContext, Subgraph, Viewer } from '@novacron/contracts';
import { checkKeys } from '@novacron/gateway';
import { createIdentityService, type IdentityService } from '@novacron/service-identity';
import { createMonitoringService } from '@novacron/service-monitoring';
import { createOperationsService } from '@novacron/service-operations';
import { createSecrets } from '@novacron/secrets';
import { createStorageService } from '@novacron/service-storage';
import { connectRedis, redisReady } from '@novacron/redis';
import { redisOptions } from '@novacron/local';
import { createInProcessDataSource, createRequestSigner, loadOrCreateInternalKeys, type DataSource } from '@novacron/transport';
import { eventually } from '@novacron/testkit';
import { SignJWT } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startSystem, type System } from '../app/src/system.ts';
import { ENTITY_CASES, type Outcome, type SignedInActor, type Subject } from './authorization-cases.ts';
import type { Loose } from './kit/client.ts';
import { startEmbedded, type Embedded } from './kit/embedded.ts';
import { awaitedImage } from './kit/image.ts';
import { makePeople, type People } from './kit/people.ts';
import { apiSchema, resolvableEntities, SUPERGRAPH_SDL, undescribed } from './kit/supergraph.ts';
import { createVm } from './kit/vm.ts';

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
let identity: IdentityService;
const opened = new AsyncDisposableStack();
const subgraphs = new Map<string, Subgraph>();

beforeAll(async () => {
  system = await startEmbedded();
  opened.defer(() => system.close());
  people = await makePeople(system.graph);
  const admin = system.graph.as(people.platformAdmin);
  const hostId = await system.registerHost(admin);
  const { vm, operation } = await createVm(admin, system.guest, { tenantId: people.acme });
  await operation.succeeds();
  await eventually(`${vm.name} to be measured`, async () => (await vm.read('metrics { cpu }'))['metrics'] !== null, { timeoutMs: 20_000 });
  subject = {
    tenantId: people.acme,
    userId: people.tenantAdmin.id,
    hostId,
    vmId: vm.id,
    operationId: operation.id,
    imageId: await awaitedImage(admin, people.acme),
    ...{ kernel: '', refreshToken: '', credentials: { email: '', password: '' }, unique: '' },
  };
  const { databaseUrl, logger } = system;
  const redis = await redisReady(connectRedis(redisOptions(system.redisUrl)));
  opened.defer(() => redis.disconnect());
  identity = createIdentityService({ databaseUrl, masterKey: await readFile(system.environment.keys.master), bootstrap: { email: 'nobody@novacron.test' } });
  opened.defer(() => identity.close());
  const operations = createOperationsService({ databaseUrl, redis: redisOptions(system.redisUrl), logger });
  opened.defer(() => operations.close());
  const monitoring = createMonitoringService({ databaseUrl, redis, logger });
  opened.defer(() => monitoring.close());
  const storage = createStorageService({ databaseUrl, redis: redisOptions(system.redisUrl), logger, secrets: await createSecrets(system.environment.keys.master) });
  opened.defer(() => storage.close());
  for (const { subgraph } of [identity, operations, monitoring, storage, system.system.vms].filter((service) => service !== null)) subgraphs.set(subgraph.name, subgraph);
});
afterAll(() => opened.disposeAsync());

const viewerOf = async (actor: 'anonymous' | SignedInActor): Promise<Viewer | null> =>
  actor === 'anonymous' ? null : (await identity.authenticator.authenticate(people[actor].token)).viewer;

const contextOf = (viewer: Viewer | null): RequestContext => ({ viewer, requestId: 'e2e', address: null, userAgent: null });

const ENTITIES = (type: string, fields: string) => `query ($of: [_Any!]!) { _entities(representations: $of) { ... on ${type} { ${fields} } } }`;

async function entity(source: DataSource, type: string, fields: string, id: string, viewer: Viewer | null): Promise<{ value: Loose | null; code: string | undefined }> {
  const { data, errors } = await source.process({ query: ENTITIES(type, fields), variables: { of: [{ __typename: type, id }] }, context: contextOf(viewer) });
  return { value: (data as Loose | null)?.['_entities']?.[0] ?? null, code: errors?.[0]?.extensions?.['code'] as string | undefined };
}

describe('entities, asked of their subgraph directly', () => {
  it.each(Object.entries(ENTITY_CASES))('%s', async (name, { idOf, fields, shows, expect: expected }) => {
    const [service = '', type = ''] = name.split('.');
    const source = sourceOf(service);
    const answered: Record<string, Outcome> = {};
    for (const actor of Object.keys(expected) as (keyof typeof expected)[]) {
      const { value, code } = await entity(source, type, fields, idOf(subject), await viewerOf(actor));
      if (code !== undefined) answered[actor] = code as Outcome; // compared with what is expected, whatever it is
      else if (value === null) answered[actor] = 'null';
      else answered[actor] = shows(value) ? 'ok' : 'nothing';
    }
    expect(answered).toEqual(expected);
  });

  it.each(Object.entries(ENTITY_CASES))('%s, by what is no id and by an id that nothing has', async (name, { fields, shows }) => {
    const [service = '', type = ''] = name.split('.');
    for (const id of ['', 'no-id', "' OR 1=1 --", '018f0000-0000-7000-8000-000000000000']) {
      const { value, code } = await entity(sourceOf(service), type, fields, id, await viewerOf('platformAdmin'));
      expect(code, `${name} by "${id}"`).not.toBe('INTERNAL');
      expect(value !== null && shows(value), `${name} by "${id}"`).toBe(false);
    }
  });
});

const sourceOf = (service: string): DataSource => {
  const subgraph = subgraphs.get(service);
  if (subgraph === undefined) throw new Error(`There is no subgraph ${service}.`);
  return createInProcessDataSource(subgraph, system.logger);
};

describe('a subgraph, asked over HTTP', () => {
  let served: System;
  let privateKey: KeyObject;
  const query = JSON.stringify({ query: '{ hosts { totalCount } }' });

  beforeAll(async () => {
    const { environment, databaseUrl, redisUrl, logger } = system;
    ({ privateKey } = await loadOrCreateInternalKeys(environment.keys.internal));
    const roles = ['identity', 'vms', 'monitoring', 'operations'] as const;
    served = await startSystem({ roles, environment, databaseUrl, redisUrl, logger, agentHost: null, isAccelerated: () => Promise.resolve(false) });
  });
  afterAll(() => served?.close());

  async function post(path: string, token: string | undefined, body = query): Promise<{ status: number; body: string }> {
    const headers = { 'content-type': 'application/json', ...(token === undefined ? {} : { authorization: `Bearer ${token}` }) };
    const response = await fetch(`${served.subgraphUrl}${path}`, { method: 'POST', headers, body });
    return { status: response.status, body: await response.text() };
  }

  const admin = async () => contextOf(await viewerOf('platformAdmin'));

  it('answers what the gateway has signed', async () => {
    const token = await createRequestSigner(privateKey)('vms', query, await admin());
    const { status, body } = await post('/vms/graphql', token);
    expect({ status, ...JSON.parse(body) }).toEqual({ status: 200, data: { hosts: { totalCount: 1 } } });
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
    for (const path of ['/vms/graphql', '/identity/graphql', '/operations/graphql', '/monitoring/graphql']) {
      if (path === '/identity/graphql' && what === 'a token for another subgraph') continue; // the one that it is for
      const { status, body } = await post(path, token);
      expect({ path, status, code: JSON.parse(body).errors[0].extensions.code }).toEqual({ path, status: 401, code: 'UNAUTHENTICATED' });
    }
  });

  it.each(['/internal/authenticate', '/internal/jwks'])('guards %s as well', async (path) => {
    const body = JSON.stringify({ accessToken: people.viewer.token });
    expect((await post(path, undefined, body)).status).toBe(401);
    expect((await post(path, people.platformAdmin.token, body)).status).toBe(401);
    expect((await post(path, await createRequestSigner(privateKey)('vms', body, contextOf(null)), body)).status).toBe(401);
    expect((await post(path, await createRequestSigner(privateKey)(path, body, contextOf(null)), body)).status).toBe(200);
  });
});
