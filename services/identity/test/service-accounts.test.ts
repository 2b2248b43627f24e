import type { Viewer } from '@novacron/contracts';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { login, makeTenant, member, startIdentity, type TestIdentity } from './identity.ts';

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

const CREATE = 'mutation ($input: CreateServiceAccountInput!) { createServiceAccount(input: $input) { id name isServiceAccount roles { role tenant { id } } permissions } }';
const DELETE = 'mutation ($id: ID!) { deleteServiceAccount(id: $id) }';
const TOKEN = 'mutation ($input: CreateApiTokenInput!) { createApiToken(input: $input) { secret token { id } } }';
const ROLE = 'mutation ($userId: ID!, $role: String!, $tenantId: ID!) { assignRole(userId: $userId, role: $role, tenantId: $tenantId) { id } }';

async function make(viewer: Viewer, tenantId = acme, role = 'operator'): Promise<string> {
  const { data, error } = await identity.ask(viewer, CREATE, { input: { name: 'ci', tenantId, role } });
  if (error) throw new Error(error.message);
  return data['createServiceAccount'].id;
}

const token = (viewer: Viewer, userId: string, ...scopes: string[]) => identity.ask(viewer, TOKEN, { input: { name: 'ci', scopes, userId } });
const authenticate = (secret: string) => identity.service.authenticator.authenticate(secret, '192.0.2.1');

describe('a service account', () => {
  it('is made by an administrator of its tenant, and is listed there', async () => {
    const { data } = await identity.ask(tenantAdmin, CREATE, { input: { name: 'ci', tenantId: acme, role: 'operator' } });
    const { id, ...account } = data['createServiceAccount'];
    expect(account).toMatchObject({ name: 'ci', isServiceAccount: true, roles: [{ role: 'operator', tenant: { id: acme } }], permissions: expect.arrayContaining(['vm:start']) });
    const listed = await identity.ask(tenantAdmin, 'query ($id: ID!) { tenant(id: $id) { serviceAccounts { id } } }', { id: acme });
    expect(listed.data['tenant'].serviceAccounts).toEqual(expect.arrayContaining([{ id }]));
    expect((await identity.ask(operator, 'query ($id: ID!) { tenant(id: $id) { serviceAccounts { id } } }', { id: acme })).error).toMatchObject({ code: 'FORBIDDEN' });
    expect((await identity.events()).filter(({ entityId }) => entityId === id)).toEqual([{ type: 'user.access', entityId: id, tenantId: acme, body: expect.anything() }]);
  });

  it('is nobody who signs in', async () => {
    const id = await make(tenantAdmin);
    const [row] = await identity.sql('SELECT email, password_hash, kind FROM identity.users WHERE id = $1', [id]);
    expect(row).toEqual({ email: `${id}@service.invalid`, password_hash: null, kind: 'service' });
    await expect(login(identity, { email: `${id}@service.invalid`, password: '' })).rejects.toThrow('could not sign in');
  });

  it('works by the tokens that its administrators make', async () => {
    const id = await make(tenantAdmin);
    const { data } = await token(tenantAdmin, id, 'vm:read', 'vm:start');
    expect((await authenticate(data['createApiToken'].secret)).viewer).toEqual({
      userId: id,
      sessionId: data['createApiToken'].token.id,
      roles: [{ role: 'operator', tenantId: acme }],
      scopes: ['vm:read', 'vm:start'],
    });
  });

  it('gets no token for more than it may do', async () => {
    const id = await make(tenantAdmin, acme, 'viewer');
    expect((await token(tenantAdmin, id, 'vm:start')).error).toMatchObject({ code: 'FORBIDDEN', field: 'scopes' });
    expect((await token(tenantAdmin, id, 'vm:read')).error).toBeNull();
  });

  it('gets no token from who does not administer it', async () => {
    const id = await make(tenantAdmin);
    expect((await token(operator, id, 'vm:read')).error).toMatchObject({ code: 'FORBIDDEN' });
    expect((await token(stranger, id, 'vm:read')).error).toMatchObject({ code: 'NOT_FOUND', field: 'userId' });
    // nor from who administers but one of its tenants, or more than itself
    await identity.ask(admin, ROLE, { userId: id, role: 'viewer', tenantId: globex });
    expect((await token(tenantAdmin, id, 'vm:read')).error).toMatchObject({ code: 'FORBIDDEN' });
    const platform = await make(admin, acme, 'platform_admin');
    expect((await token(tenantAdmin, platform, 'vm:read')).error).toMatchObject({ code: 'FORBIDDEN' });
    expect((await token(admin, platform, 'host:read')).error).toBeNull();
  });

  it('is deleted with all its tokens, and its id still names it', async () => {
    const id = await make(tenantAdmin);
    const { data } = await token(tenantAdmin, id, 'vm:read');
    const { secret } = data['createApiToken'];
    await authenticate(secret);
    expect((await identity.ask(operator, DELETE, { id })).error).toMatchObject({ code: 'FORBIDDEN' });
    expect((await identity.ask(stranger, DELETE, { id })).error).toMatchObject({ code: 'NOT_FOUND' });
    expect((await identity.ask(tenantAdmin, DELETE, { id })).data).toEqual({ deleteServiceAccount: true });
    await expect(authenticate(secret)).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
    expect((await identity.events()).findLast(({ entityId }) => entityId === id)).toMatchObject({ type: 'user.access' });
    expect((await identity.ask(operator, 'query ($id: ID!) { user(id: $id) { id } }', { id })).data).toEqual({ user: { id } });
    expect((await identity.ask(tenantAdmin, DELETE, { id })).error).toMatchObject({ code: 'NOT_FOUND' });
  });

  it('is no person, and the other way round', async () => {
    expect((await identity.ask(operator, '{ me { isServiceAccount } }')).data['me']).toEqual({ isServiceAccount: false });
    expect((await identity.ask(admin, DELETE, { id: operator.userId })).error).toMatchObject({ code: 'NOT_FOUND' });
  });
});

it.each<[string, () => Viewer | null, () => object, object]>([
  ['nobody', () => null, () => ({}), { code: 'UNAUTHENTICATED' }],
  ['an operator', () => operator, () => ({}), { code: 'FORBIDDEN' }],
  ['a stranger', () => stranger, () => ({}), { code: 'NOT_FOUND', field: 'tenantId' }],
  ['who may not make its like', () => tenantAdmin, () => ({ role: 'platform_admin' }), { code: 'FORBIDDEN', field: 'role' }],
  ['who names no role', () => tenantAdmin, () => ({ role: 'god' }), { code: 'BAD_USER_INPUT', field: 'role' }],
  ['who names it not at all', () => tenantAdmin, () => ({ name: '' }), { code: 'BAD_USER_INPUT', field: 'name' }],
])('%s makes no service account', async (_who, viewer, input, error) => {
  expect((await identity.ask(viewer(), CREATE, { input: { name: 'x', tenantId: acme, role: 'viewer', ...input() } })).error).toMatchObject(error);
});
