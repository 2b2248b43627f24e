import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Viewer } from '@novacron/contracts';
import { newId } from '@novacron/core';
import { Kind, parse } from 'graphql';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { login, makeTenant, member, PASSWORD, startIdentity, type TestIdentity } from './identity.ts';

let identity: TestIdentity;
let admin: Viewer;
let tenantAdmin: Viewer;
let operator: Viewer;
/** The tenant_admin of another tenant. */
let stranger: Viewer;
let acme: string;
let globex: string;

beforeAll(async () => {
  identity = await startIdentity();
  await identity.service.bootstrap();
  admin = (await login(identity)).viewer;
  [acme, globex] = [await makeTenant(identity, admin, 'acme'), await makeTenant(identity, admin, 'globex')];
  tenantAdmin = await member(identity, admin, 'tenant-admin', acme, 'tenant_admin');
  operator = await member(identity, admin, 'operator', acme, 'operator');
  stranger = await member(identity, admin, 'stranger', globex, 'tenant_admin');
}, 60_000);
afterAll(() => identity.close());

const CREATE = `mutation ($input: CreateApiTokenInput!) { createApiToken(input: $input) {
  secret token { id name prefix scopes tenant { id } addresses createdBy { id } expiresAt lastUsedAt lastUsedAddress }
} }`;
const REVOKE = 'mutation ($id: ID!) { revokeApiToken(id: $id) }';
const TOKENS = 'query ($id: ID!) { user(id: $id) { apiTokens { id name lastUsedAt lastUsedAddress } } }';

interface Made {
  id: string;
  secret: string;
}

async function make(viewer: Viewer, input: object = {}): Promise<Made> {
  const { data, error } = await identity.ask(viewer, CREATE, { input: { name: 'deploy', scopes: ['vm:read'], ...input } });
  if (error) throw new Error(error.message);
  return { id: data['createApiToken'].token.id, secret: data['createApiToken'].secret };
}

const authenticate = (secret: string, address: string | null = '192.0.2.1') => identity.service.authenticator.authenticate(secret, address);
const codeOf = (secret: string, address?: string | null): Promise<string> => authenticate(secret, address).then(() => 'ok', ({ code }) => code);
/** Who a token with these scopes stands for. */
const by = async (viewer: Viewer, ...scopes: string[]) => (await authenticate((await make(viewer, { scopes })).secret)).viewer;

describe('an API token', () => {
  it('is shown once, and kept as its hash', async () => {
    const { data } = await identity.ask(operator, CREATE, { input: { name: ' deploy ', scopes: ['vm:start', 'vm:read', 'vm:start'], addresses: ['198.51.100.7/24'], tenantId: acme } });
    const { secret, token } = data['createApiToken'];
    expect(secret).toMatch(/^nc_[\w-]{43}$/);
    expect(token).toMatchObject({
      name: 'deploy',
      prefix: secret.slice(0, 9),
      scopes: ['vm:read', 'vm:start'],
      tenant: { id: acme },
      addresses: ['198.51.100.0/24'],
      createdBy: { id: operator.userId },
      expiresAt: null,
      lastUsedAt: null,
      lastUsedAddress: null,
    });
    const [row] = await identity.sql('SELECT to_jsonb(t)::text AS row FROM identity.api_tokens t WHERE id = $1', [token.id]);
    expect(row?.['row']).not.toContain(secret.slice(9));
  });

  it('takes the password of whoever signed in a while ago', async () => {
    const user = await member(identity, admin, 'made-late', acme, 'operator');
    const attempt = async (password?: string | null) => (await identity.ask(user, CREATE, { input: { name: 'x', scopes: ['vm:read'], password } })).error;
    identity.clock.advance(10 * 60_000 - 1);
    expect(await attempt()).toBeNull();
    identity.clock.advance(1);
    for (const password of [undefined, null, '', 'a wrong password']) expect(await attempt(password)).toMatchObject({ code: 'BAD_USER_INPUT', field: 'password' });
    expect(await attempt(PASSWORD)).toBeNull();
    for (const known of [admin, tenantAdmin, operator, stranger]) await identity.sql('UPDATE identity.sessions SET created_at = $2 WHERE id = $1', [known.sessionId, identity.clock.now()]);
  });

  it('stands for its user, with the roles of now and its own scopes', async () => {
    const user = await member(identity, admin, 'changes', acme, 'operator');
    const { id, secret } = await make(user, { scopes: ['vm:read', 'vm:start'] });
    expect((await authenticate(secret)).viewer).toEqual({ userId: user.userId, sessionId: id, roles: [{ role: 'operator', tenantId: acme }], scopes: ['vm:read', 'vm:start'] });
    await identity.ask(admin, 'mutation ($u: ID!, $t: ID!) { assignRole(userId: $u, role: "viewer", tenantId: $t) { id } }', { u: user.userId, t: acme });
    expect((await authenticate(secret)).viewer.roles).toEqual([{ role: 'viewer', tenantId: acme }]);
  });

  it('of one tenant makes a platform administrator an administrator of that one', async () => {
    const { secret } = await make(admin, { tenantId: acme });
    expect((await authenticate(secret)).viewer.roles).toEqual([{ role: 'tenant_admin', tenantId: acme }]);
    const { error } = await identity.ask(admin, CREATE, { input: { name: 'x', scopes: ['pool:create'], tenantId: acme } });
    expect(error).toMatchObject({ code: 'FORBIDDEN', field: 'scopes' });
  });

  it('ends when it says so', async () => {
    const expiresAt = new Date(identity.clock.now().getTime() + 60_000);
    const { secret } = await make(operator, { expiresAt: expiresAt.toISOString() });
    expect((await authenticate(secret)).expiresAt).toEqual(expiresAt);
    identity.clock.advance(60_000);
    expect(await codeOf(secret)).toBe('UNAUTHENTICATED');
  });

  it('that does not end outlives every timer', async () => {
    const { expiresAt } = await authenticate((await make(operator)).secret);
    expect(expiresAt.getTime()).toBeGreaterThan(Date.parse('9999-01-01'));
    expect(new Date(JSON.parse(JSON.stringify(expiresAt)))).toEqual(expiresAt);
  });

  it('is taken from its networks only', async () => {
    const { secret } = await make(operator, { addresses: ['192.0.2.0/24', '2001:db8::/32'] });
    const codes = await Promise.all(['192.0.2.200', '::ffff:192.0.2.200', '2001:db8::1', '198.51.100.1', null].map((address) => codeOf(secret, address)));
    expect(codes).toEqual(['ok', 'ok', 'ok', 'UNAUTHENTICATED', 'UNAUTHENTICATED']);
  });

  it('is told apart from all that it is not', async () => {
    const { secret } = await make(operator);
    const other = `nc_${randomBytes(32).toString('base64url')}`;
    const wrong = [other, `${secret}x`, secret.slice(0, -1), secret.toUpperCase(), 'nc_', `nc_${"'".repeat(43)}`, 'nc_\0'];
    expect(new Set(await Promise.all(wrong.map((one) => codeOf(one))))).toEqual(new Set(['UNAUTHENTICATED']));
  });

  it('is refused once it is revoked, and everybody is told', async () => {
    const { id, secret } = await make(operator);
    expect((await identity.ask(operator, REVOKE, { id })).data).toEqual({ revokeApiToken: true });
    expect(await codeOf(secret)).toBe('UNAUTHENTICATED');
    const told = async () => (await identity.events()).filter(({ entityId }) => entityId === id).map(({ type }) => type);
    expect(await told()).toEqual(['session.revoked']);
    expect((await identity.ask(operator, REVOKE, { id })).data).toEqual({ revokeApiToken: true });
    expect(await told()).toEqual(['session.revoked']);
    const { data } = await identity.ask(operator, TOKENS, { id: operator.userId });
    expect(data['user'].apiTokens.map((token: Made) => token.id)).not.toContain(id);
  });

  it('is refused while its user is deactivated, and may do nothing while that owes a new password', async () => {
    const user = await member(identity, admin, 'leaves', acme, 'operator');
    const { secret } = await make(user);
    // gateways ask again when they are told
    const told = async () => (await identity.events()).filter(({ type, entityId }) => type === 'user.access' && entityId === user.userId).length;
    const before = await told();
    await identity.ask(admin, 'mutation ($id: ID!) { forcePasswordReset(userId: $id) { id } }', { id: user.userId });
    expect((await authenticate(secret)).viewer).toMatchObject({ roles: [], owes: 'new_password' });
    expect(await told()).toBe(before + 1);
    await identity.ask(admin, 'mutation ($id: ID!) { deactivateUser(id: $id) { id } }', { id: user.userId });
    expect(await codeOf(secret)).toBe('UNAUTHENTICATED');
    expect(await told()).toBe(before + 2);
  });

  it('tells when and from where it was last used, to the minute', async () => {
    const { id, secret } = await make(operator);
    const used = async () => (await identity.ask(operator, TOKENS, { id: operator.userId })).data['user'].apiTokens.find((token: Made) => token.id === id);
    const first = identity.clock.now();
    await authenticate(secret, '192.0.2.1');
    expect(await used()).toMatchObject({ lastUsedAt: first.toISOString(), lastUsedAddress: '192.0.2.1' });
    identity.clock.advance(59_000);
    await authenticate(secret, '192.0.2.2');
    expect(await used()).toMatchObject({ lastUsedAt: first.toISOString() });
    identity.clock.advance(1_000);
    await authenticate(secret, '192.0.2.2');
    expect(await used()).toMatchObject({ lastUsedAt: identity.clock.now().toISOString(), lastUsedAddress: '192.0.2.2' });
  });

  it('is not made without end', async () => {
    const user = await member(identity, admin, 'hoards', acme, 'viewer');
    await identity.sql(
      `INSERT INTO identity.api_tokens (id, user_id, name, prefix, token_hash, scopes, addresses, created_at, created_by)
       SELECT gen_random_uuid(), $1, 'x', 'nc_', sha256(n::text::bytea), '{}', '{}', now(), $1 FROM generate_series(1, 99) n`,
      [user.userId],
    );
    const answers = await Promise.all(Array.from({ length: 3 }, () => identity.ask(user, CREATE, { input: { name: 'x', scopes: ['vm:read'] } })));
    expect(answers.map(({ error }) => error?.code ?? 'ok').toSorted()).toEqual(['QUOTA_EXCEEDED', 'QUOTA_EXCEEDED', 'ok']);
  });
});

describe('nobody makes a token', () => {
  it.each<[string, () => Viewer | null, () => object, object]>([
    ['without signing in', () => null, () => ({}), { code: 'UNAUTHENTICATED' }],
    ['for what it may not do itself', () => operator, () => ({ scopes: ['vm:read', 'host:register'] }), { code: 'FORBIDDEN', field: 'scopes' }],
    ['for a tenant that it does not see', () => operator, () => ({ tenantId: globex }), { code: 'NOT_FOUND', field: 'tenantId' }],
    ['for somebody else', () => tenantAdmin, () => ({ userId: operator.userId }), { code: 'FORBIDDEN', field: 'userId' }],
    ['for somebody whom it does not see', () => stranger, () => ({ userId: operator.userId }), { code: 'NOT_FOUND', field: 'userId' }],
    ['for what is no permission', () => operator, () => ({ scopes: ['vm:fly'] }), { code: 'BAD_USER_INPUT', field: 'scopes' }],
    ['that looks after accounts', () => tenantAdmin, () => ({ scopes: ['user:create'] }), { code: 'BAD_USER_INPUT', field: 'scopes' }],
    ['that has ended already', () => operator, () => ({ expiresAt: identity.clock.now().toISOString() }), { code: 'BAD_USER_INPUT', field: 'expiresAt' }],
    ['for networks that are none', () => operator, () => ({ addresses: ['everywhere'] }), { code: 'BAD_USER_INPUT', field: 'addresses' }],
    ['without a name', () => operator, () => ({ name: ' ' }), { code: 'BAD_USER_INPUT', field: 'name' }],
  ])('%s', async (_how, viewer, input, error) => {
    expect((await identity.ask(viewer(), CREATE, { input: { name: 'x', scopes: ['vm:read'], ...input() } })).error).toMatchObject(error);
  });

  it('in a session that owes a second factor', async () => {
    const owing: Viewer = { ...operator, roles: [], owes: 'second_factor' };
    expect((await identity.ask(owing, CREATE, { input: { name: 'x', scopes: ['vm:read'] } })).error).toMatchObject({ code: 'FORBIDDEN' });
  });
});

describe('whose tokens one sees and revokes', () => {
  it('are those of users that one administers', async () => {
    const { id } = await make(operator);
    expect((await identity.ask(tenantAdmin, TOKENS, { id: operator.userId })).data['user'].apiTokens).toEqual(expect.arrayContaining([expect.objectContaining({ id })]));
    const peer = await member(identity, admin, 'peer', acme, 'operator');
    expect((await identity.ask(peer, TOKENS, { id: operator.userId })).error).toMatchObject({ code: 'FORBIDDEN' });
    expect((await identity.ask(peer, REVOKE, { id })).error).toMatchObject({ code: 'FORBIDDEN' });
    expect((await identity.ask(stranger, REVOKE, { id })).error).toMatchObject({ code: 'NOT_FOUND', field: 'id' });
    expect((await identity.ask(operator, REVOKE, { id: newId() })).error).toMatchObject({ code: 'NOT_FOUND', field: 'id' });
    expect((await identity.ask(tenantAdmin, REVOKE, { id })).error).toBeNull();
  });

  it("are not a platform administrator's", async () => {
    const { id } = await make(admin);
    await identity.ask(admin, 'mutation ($u: ID!, $t: ID!) { assignRole(userId: $u, role: "viewer", tenantId: $t) { id } }', { u: admin.userId, t: acme });
    expect((await identity.ask(tenantAdmin, REVOKE, { id })).error).toMatchObject({ code: 'FORBIDDEN' });
  });
});

describe('a token without the scope', () => {
  it('sees no tenant, and nobody but itself', async () => {
    const viewer = await by(tenantAdmin, 'vm:read');
    expect((await identity.ask(viewer, '{ me { id roles { role } permissions } }')).data['me']).toEqual({ id: tenantAdmin.userId, roles: [{ role: 'tenant_admin' }], permissions: ['vm:read'] });
    expect((await identity.ask(viewer, 'query ($id: ID!) { user(id: $id) { id } }', { id: operator.userId })).data).toEqual({ user: null });
    expect((await identity.ask(viewer, '{ users { totalCount edges { node { id } } } }')).data['users']).toEqual({ totalCount: 1, edges: [{ node: { id: tenantAdmin.userId } }] });
    const CLOSED = ['tenants { totalCount }', `tenant(id: "${acme}") { id }`, 'me { roles { tenant { name } } }', 'me { sessions { id } }', 'me { apiTokens { id } }', 'me { sshKeys { id } }'];
    const codes = await Promise.all(CLOSED.map(async (field) => [field, (await identity.ask(viewer, `{ ${field} }`)).error?.code]));
    expect(codes).toEqual(CLOSED.map((field) => [field, 'FORBIDDEN']));
    const ENTITIES = 'query ($of: [_Any!]!) { _entities(representations: $of) { ... on Tenant { name } ... on User { name } } }';
    const entity = (__typename: string, id: string) => identity.ask(viewer, ENTITIES, { of: [{ __typename, id }] });
    expect((await entity('Tenant', acme)).error).toMatchObject({ code: 'FORBIDDEN' });
    expect((await entity('User', operator.userId)).data).toEqual({ _entities: [null] });
  });

  it('of a platform administrator is no platform administrator', async () => {
    const viewer = await by(admin, 'vm:read');
    expect((await identity.ask(viewer, 'query ($id: ID!) { user(id: $id) { id } }', { id: operator.userId })).data).toEqual({ user: null });
    const { error } = await identity.ask(viewer, 'mutation { createTenant(input: { name: "umbrella" }) { id } }');
    expect(error).toMatchObject({ code: 'FORBIDDEN' });
    expect(await identity.sql("SELECT FROM identity.tenants WHERE name = 'umbrella'")).toEqual([]);
  });

  it('and with it may do just that', async () => {
    const reader = await by(tenantAdmin, 'user:read', 'tenant:read');
    const { data } = await identity.ask(reader, 'query ($id: ID!) { user(id: $id) { name permissions } tenants { edges { node { name } } } }', { id: operator.userId });
    expect(data['tenants'].edges).toEqual([{ node: { name: 'acme' } }]);
    expect(data['user'].permissions).toContain('vm:start');
    const maker = await by(admin, 'tenant:create', 'tenant:read');
    expect((await identity.ask(maker, 'mutation { createTenant(input: { name: "initech" }) { name } }')).data).toEqual({ createTenant: { name: 'initech' } });
  });

  it('changes nothing where its answer could not be shown', async () => {
    const maker = await by(admin, 'tenant:create');
    expect((await identity.ask(maker, 'mutation { createTenant(input: { name: "hooli" }) { name } }')).error).toMatchObject({ code: 'FORBIDDEN' });
    expect(await identity.sql("SELECT FROM identity.tenants WHERE name = 'hooli'")).toEqual([]);
  });

  it('looks after no account, session, second factor or token, whatever its scopes', async () => {
    const { data } = await identity.ask(admin, '{ apiTokenScopes }');
    const viewer = await by(admin, ...data['apiTokenScopes']);
    const mutations = identity.service.subgraph.schema.getMutationType()?.getFields() ?? {};
    const asked = Object.values(mutations).filter(({ name }) => needsSignIn(name));
    expect(asked.map(({ name }) => name)).toEqual(expect.arrayContaining(['logout', 'createUser', 'assignRole', 'createApiToken', 'revokeApiToken', 'createServiceAccount', 'deleteServiceAccount', 'addSshKey', 'removeSshKey']));
    for (const { name, resolve } of asked) {
      const answer = async () => resolve?.({}, {}, identity.service.subgraph.createContext({ viewer, requestId: 'test', address: null, userAgent: null }), {} as never); // refused before anything is looked at
      await expect(answer().catch((thrown: object) => Promise.reject(Object.assign(thrown, { name })))).rejects.toMatchObject({ name, code: 'FORBIDDEN', message: expect.stringContaining('API token') });
    }
  });
});

/** All but those that need no token at all, and those that name their scopes. */
function needsSignIn(mutation: string): boolean {
  const sdl = parse(readFileSync(new URL('../schema.graphql', import.meta.url), 'utf8'));
  const fields = sdl.definitions.flatMap((type) => (type.kind === Kind.OBJECT_TYPE_DEFINITION && type.name.value === 'Mutation' ? (type.fields ?? []) : []));
  const field = fields.find(({ name }) => name.value === mutation);
  return field?.directives?.some(({ name }) => name.value === 'authenticated') ?? true;
}
