import { redacted, verifyAudit, type AuditEntry } from '@novacron/audit';
import { identitySchema } from '@novacron/service-identity';
import { createSecrets } from '@novacron/secrets';
import { eventually } from '@novacron/testkit';
import { getNamedType, isInputObjectType, type GraphQLInputType, type GraphQLSchema } from 'graphql';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Loose } from './kit/client.ts';
import { startEmbedded, type Embedded } from './kit/embedded.ts';
import { makePeople, type People } from './kit/people.ts';
import { apiSchema } from './kit/supergraph.ts';

/** What the audit says of the whole system, by whichever way it was asked. */

let system: Embedded;
let people: People;

beforeAll(async () => {
  system = await startEmbedded();
  people = await makePeople(system.graph);
}, 120_000);
afterAll(() => system?.close());

const mutationsOf = (schema: GraphQLSchema) => Object.values(schema.getMutationType()?.getFields() ?? {});

/** Every input of a mutation, however deep, by its name alone. */
function inputNames(): string[] {
  const names = new Set<string>();
  const seen = new Set<string>();
  const visit = (name: string, type: GraphQLInputType): void => {
    names.add(name);
    const inner = getNamedType(type);
    if (!isInputObjectType(inner) || seen.has(inner.name)) return;
    seen.add(inner.name);
    for (const field of Object.values(inner.getFields())) visit(field.name, field.type);
  };
  for (const { args } of mutationsOf(apiSchema())) for (const argument of args) visit(argument.name, argument.type);
  return [...names];
}

/** What sounds secret and is not. Whatever is added here is shown to every auditor. */
const HARMLESS = new Set(['idempotencyKey', 'key', 'publicKey', 'sshKeyIds', 'sshKeys', 'withMySshKeys']);

describe('by construction', () => {
  it('no input that sounds secret is written down', () => {
    const suspects = inputNames().filter((name) => /pass|secret|token|code|key|credential|private|auth|userdata|networkconfig/i.test(name));
    const shown = suspects.filter((name) => JSON.stringify(redacted({ [name]: 'canary' })).includes('canary'));
    expect(suspects).toEqual(expect.arrayContaining(['password', 'newPassword', 'code', 'token', 'refreshToken', 'userData']));
    expect(shown.filter((name) => !HARMLESS.has(name))).toEqual([]);
  });

  it('every mutation of every subgraph is audited', () => {
    const { subgraphs } = system.system;
    const plain = new Map(mutationsOf(identitySchema).map(({ name, resolve }) => [name, resolve]));
    expect(plain.size).toBeGreaterThan(0);
    for (const { name, resolve } of mutationsOf(subgraphs.identity!.schema)) expect(resolve, `${name}`).not.toBe(plain.get(name)); // it runs here
    const served = new Set(Object.values(subgraphs).flatMap(({ schema, observe }) => (observe === undefined ? [] : mutationsOf(schema).map(({ name }) => name))));
    expect(mutationsOf(apiSchema()).map(({ name }) => name).filter((name) => !served.has(name))).toEqual([]);
  });
});

const entries = async (): Promise<AuditEntry[]> => (await system.sql<{ content: string }>('SELECT content FROM operations.audit_log ORDER BY position')).map(({ content }) => JSON.parse(content));

const entriesOf = (requestId: string): Promise<AuditEntry[]> =>
  eventually(`the entries of ${requestId}`, async () => {
    const found = (await entries()).filter((entry) => entry.requestId === requestId);
    return found.length > 0 && found;
  });

let asked = 0;

/** Sends a request with an id of its own. */
async function send(path: string, token: string | null, body: object, method = 'POST'): Promise<{ requestId: string; answer: Loose }> {
  const requestId = `audit-${(asked += 1)}`;
  const headers = { 'content-type': 'application/json', 'x-request-id': requestId, 'user-agent': 'e2e', ...(token === null ? {} : { authorization: `Bearer ${token}` }) };
  const response = await fetch(`${system.system.url}${path}`, { method, headers, body: JSON.stringify(body) });
  return { requestId, answer: (await response.json()) as Loose };
}
const ask = (token: string | null, query: string, variables: object = {}) => send('/graphql', token, { query, variables });

const CREATE_NETWORK = 'mutation ($input: CreateNetworkInput!) { createNetwork(input: $input) { network { id } } }';

describe('the audit log', () => {
  it('has what was made, by whom, whichever service made it', async () => {
    const { requestId, answer } = await ask(people.operator.token, CREATE_NETWORK, { input: { name: 'audited', cidr: '10.99.0.0/24' } });
    expect(await entriesOf(requestId)).toMatchObject([
      {
        kind: 'MUTATION',
        action: 'createNetwork',
        service: 'network',
        outcome: 'SUCCEEDED',
        targetType: 'Network',
        targetId: answer['data'].createNetwork.network.id,
        tenantId: people.acme,
        credential: 'SESSION',
        roles: [{ role: 'operator', tenantId: people.acme }],
        address: '127.0.0.1',
        userAgent: 'e2e',
        arguments: { input: { name: 'audited', cidr: '10.99.0.0/24' } },
      },
    ]);
  });

  it('has what was asked for through REST', async () => {
    const { requestId } = await send('/api/v1/networks', people.operator.token, { name: 'by-rest', cidr: '10.98.0.0/24' });
    expect(await entriesOf(requestId)).toMatchObject([{ action: 'createNetwork', service: 'network', outcome: 'SUCCEEDED', arguments: { input: { name: 'by-rest' } } }]);
  });

  it('has what a program did with its token', async () => {
    const create = 'mutation ($input: CreateApiTokenInput!) { createApiToken(input: $input) { secret token { id } } }';
    const made = await ask(people.operator.token, create, { input: { name: 'audit', scopes: ['network:create', 'network:read'] } });
    const { secret, token } = made.answer['data'].createApiToken;
    expect(await entriesOf(made.requestId)).toMatchObject([{ action: 'createApiToken', targetType: 'ApiToken', targetId: token.id, outcome: 'SUCCEEDED' }]);
    const { requestId } = await ask(secret, CREATE_NETWORK, { input: { name: 'by-token', cidr: '10.97.0.0/24' } });
    expect(await entriesOf(requestId)).toMatchObject([{ action: 'createNetwork', credential: 'API_TOKEN', credentialId: token.id, outcome: 'SUCCEEDED' }]);
    const denied = await ask(secret, 'mutation ($id: ID!) { deleteNetwork(id: $id) { network { id } } }', { id: token.id });
    expect(await entriesOf(denied.requestId)).toMatchObject([{ action: 'deleteNetwork', credential: 'API_TOKEN', credentialId: token.id, outcome: expect.stringMatching(/DENIED|FAILED/) }]);
  });

  it('has what was denied: at the gateway, by a service, and for want of a good token', async () => {
    const atGateway = await ask(people.viewer.token, 'mutation { createTenant(input: { name: "nope" }) { id } }');
    expect(await entriesOf(atGateway.requestId)).toMatchObject([
      { kind: 'MUTATION', action: 'createTenant', service: 'gateway', outcome: 'DENIED', code: 'FORBIDDEN', userId: expect.any(String), tenantId: people.acme, arguments: { input: { name: 'nope' } } },
    ]);
    const byService = await ask(people.viewer.token, CREATE_NETWORK, { input: { name: 'nope', cidr: '10.96.0.0/24' } });
    expect(await entriesOf(byService.requestId)).toMatchObject([{ action: 'createNetwork', outcome: 'DENIED', code: 'FORBIDDEN' }]);
    const badToken = await ask('no token at all', '{ me { id } }');
    expect(await entriesOf(badToken.requestId)).toMatchObject([{ kind: 'ACCESS', action: 'authenticate', service: 'gateway', outcome: 'DENIED', code: 'UNAUTHENTICATED', address: '127.0.0.1' }]);
  });

  it('has failed sign-ins, and no password', async () => {
    const { requestId } = await ask(null, 'mutation { login(input: { email: "otto@novacron.test", password: "a canary of a password" }) { accessToken } }');
    expect(await entriesOf(requestId)).toMatchObject([{ action: 'login', outcome: 'DENIED', code: 'UNAUTHENTICATED', arguments: { input: { email: '[redacted]', password: '[redacted]' } } }]);
    for (const table of ['audit_log', 'audit_pending', 'audit_repeat']) {
      expect(JSON.stringify(await system.sql(`SELECT * FROM operations.${table}`)), `${table}`).not.toContain('canary of a password');
    }
  });

  it('is whole', async () => {
    const client = new pg.Client({ connectionString: system.databaseUrl });
    await client.connect();
    const secrets = await createSecrets(system.environment.keys.master);
    const { faults, sealed, entries: count } = await verifyAudit({ reader: client, secrets });
    await client.end();
    expect({ faults, isSealed: sealed !== null }).toEqual({ faults: [], isSealed: true });
    expect(count).toBeGreaterThan(10);
  });
});
