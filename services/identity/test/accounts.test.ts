import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Viewer } from '@novacron/contracts';
import { newId } from '@novacron/core';
import { login, makeTenant, makeUser, member, PASSWORD, startIdentity, type TestIdentity } from './identity.ts';

let identity: TestIdentity;
let admin: Viewer;
let defaultTenant: string;
let tenant: string;
let foreign: string;
let tenantAdmin: Viewer;
let operator: Viewer;
let viewer: Viewer;
let stranger: Viewer;

beforeAll(async () => {
  identity = await startIdentity();
  await identity.service.bootstrap();
  admin = (await login(identity)).viewer;
  defaultTenant = admin.roles[0]!.tenantId; // bootstrap gave it
  tenant = await makeTenant(identity, admin, 'acme');
  foreign = await makeTenant(identity, admin, 'globex');
  tenantAdmin = await member(identity, admin, 'ta', tenant, 'tenant_admin');
  operator = await member(identity, admin, 'op', tenant, 'operator');
  viewer = await member(identity, admin, 'vi', tenant, 'viewer');
  stranger = await member(identity, admin, 'st', foreign, 'tenant_admin');
});
afterAll(() => identity?.close());

const as = (name: string): Viewer | null => ({ admin, tenantAdmin, operator, viewer, stranger, nobody: null })[name] ?? null;
const counts = async () => (await identity.sql('SELECT (SELECT count(*) FROM identity.users) AS users, (SELECT count(*) FROM identity.tenants) AS tenants, (SELECT count(*) FROM operations.outbox) AS events'))[0];

/** The error of what was refused, and whether anything has changed all the same. */
async function outcome(run: () => Promise<{ error: unknown }>): Promise<{ error: unknown; changed: boolean }> {
  const before = await counts();
  const { error } = await run();
  return { error, changed: JSON.stringify(await counts()) !== JSON.stringify(before) };
}

const refused = (error: object) => ({ error, changed: false });

describe('createTenant', () => {
  const CREATE = 'mutation ($input: CreateTenantInput!) { createTenant(input: $input) { id name quota { vms vcpus memory } usage { vms vcpus memory } createdAt } }';
  const create = (by: Viewer | null, input: object) => identity.ask(by, CREATE, { input });

  it('makes a tenant with its quota', async () => {
    const { data, error } = await create(admin, { name: 'with-quota', quota: { vms: 3, memory: '8GiB' } });
    expect(error).toBeNull();
    expect(data['createTenant']).toEqual({
      id: expect.any(String),
      name: 'with-quota',
      quota: { vms: 3, vcpus: null, memory: 8 * 2 ** 30 },
      usage: { vms: 0, vcpus: 0, memory: 0 },
      createdAt: identity.clock.now().toISOString(),
    });
  });

  it('shows what is used of it', async () => {
    const id = await makeTenant(identity, admin, 'in-use');
    await identity.sql('UPDATE operations.quota SET used_vms = 2, used_vcpus = 4, used_memory = 4294967296 WHERE tenant_id = $1', [id]);
    const { data } = await identity.ask(admin, 'query ($id: ID!) { tenant(id: $id) { usage { vms vcpus memory } } }', { id });
    expect(data).toEqual({ tenant: { usage: { vms: 2, vcpus: 4, memory: 4294967296 } } });
  });

  it.each([
    ['nobody', 'UNAUTHENTICATED'],
    ['tenantAdmin', 'FORBIDDEN'],
    ['operator', 'FORBIDDEN'],
    ['viewer', 'FORBIDDEN'],
  ])('is refused to %s', async (name, code) => {
    expect(await outcome(() => create(as(name), { name: 'new' }))).toMatchObject(refused({ code }));
  });

  it.each([
    [{ name: 'No' }, 'name'],
    [{ name: '' }, 'name'],
    [{ name: 'ok', quota: { vms: -1 } }, 'quota.vms'],
  ])('refuses %j', async (input, field) => {
    expect(await outcome(() => create(admin, input))).toMatchObject(refused({ code: 'BAD_USER_INPUT', field }));
  });

  it('refuses a name that is taken, also at once', async () => {
    expect(await outcome(() => create(admin, { name: 'acme' }))).toMatchObject(refused({ code: 'ALREADY_EXISTS', field: 'name' }));
    const answers = await Promise.all(Array.from({ length: 5 }, () => create(admin, { name: 'race' })));
    expect(answers.map(({ error }) => error?.code ?? 'made').toSorted()).toEqual([...Array(4).fill('ALREADY_EXISTS'), 'made']);
  });
});

describe('createUser', () => {
  const CREATE = 'mutation ($input: CreateUserInput!) { createUser(input: $input) { id email name roles { role tenant { id } } permissions createdAt } }';
  const input = (changes: object = {}) => ({ email: 'new@example.org', name: 'New', password: PASSWORD, tenantId: tenant, role: 'viewer', ...changes });
  const create = (by: Viewer | null, changes: object = {}) => identity.ask(by, CREATE, { input: input(changes) });

  it('makes a user who can sign in, and says so', async () => {
    const { data, error } = await create(tenantAdmin, { email: 'Grace@Example.org', name: ' Grace ', role: 'Operator' });
    expect(error).toBeNull();
    const { id, ...user } = data['createUser'];
    expect(user).toMatchObject({ email: 'grace@example.org', name: 'Grace', roles: [{ role: 'operator', tenant: { id: tenant } }] });
    expect(user.permissions).toContain('vm:start');
    expect((await identity.events()).at(-1)).toEqual({ type: 'user.access', entityId: id, tenantId: tenant, body: { after: {} } });
    expect((await login(identity, { email: 'grace@example.org', password: PASSWORD })).viewer.roles).toEqual([{ role: 'operator', tenantId: tenant }]);
    const [row] = await identity.sql('SELECT password_hash FROM identity.users WHERE id = $1', [id]);
    expect(row?.['password_hash']).toMatch(/^\$argon2id\$/);
  });

  it.each([
    ['nobody', 'UNAUTHENTICATED'],
    ['operator', 'FORBIDDEN'],
    ['viewer', 'FORBIDDEN'],
    ['stranger', 'NOT_FOUND'],
  ])('is refused to %s', async (name, code) => {
    expect(await outcome(() => create(as(name)))).toMatchObject(refused({ code }));
  });

  it('lets only a platform administrator make another one', async () => {
    expect(await outcome(() => create(tenantAdmin, { role: 'platform_admin' }))).toMatchObject(refused({ code: 'FORBIDDEN', field: 'role' }));
    const { error } = await create(admin, { email: 'second@example.org', role: 'Platform Admin' });
    expect(error).toBeNull();
    await identity.sql("DELETE FROM identity.users WHERE email = 'second@example.org'");
  });

  it.each([
    ['email', { email: 'no address' }],
    ['name', { name: ' ' }],
    ['name', { name: 'a\nb' }],
    ['password', { password: 'short' }],
    ['role', { role: 'root' }],
  ])('refuses a bad %s', async (field, changes) => {
    expect(await outcome(() => create(tenantAdmin, changes))).toMatchObject(refused({ code: 'BAD_USER_INPUT', field }));
  });

  it.each([newId<string>(), 'no id', ''])('refuses the unknown tenant %j', async (tenantId) => {
    expect(await outcome(() => create(admin, { tenantId }))).toMatchObject(refused({ code: 'NOT_FOUND' }));
  });

  it('refuses an address that is taken, in whatever case, also at once', async () => {
    expect(await outcome(() => create(tenantAdmin, { email: 'OP@example.org' }))).toMatchObject(refused({ code: 'ALREADY_EXISTS', field: 'email' }));
    const answers = await Promise.all(Array.from({ length: 5 }, () => create(tenantAdmin, { email: 'race@example.org' })));
    expect(answers.map(({ error }) => error?.code ?? 'made').toSorted()).toEqual([...Array(4).fill('ALREADY_EXISTS'), 'made']);
  });
});

describe('assignRole', () => {
  const ASSIGN = 'mutation ($userId: ID!, $role: String!, $tenantId: ID!) { assignRole(userId: $userId, role: $role, tenantId: $tenantId) { id roles { role tenant { id } } } }';
  const assign = (by: Viewer | null, userId: string, role: string, tenantId: string) => identity.ask(by, ASSIGN, { userId, role, tenantId });
  const user = (name: string, role = 'viewer', where = tenant) => makeUser(identity, admin, name, where, role);

  it('replaces the role in that tenant, says so once, and counts at once', async () => {
    const id = await user('promoted');
    const { accessToken } = await login(identity, { email: 'promoted@example.org', password: PASSWORD });
    const before = (await identity.events()).length;
    const { data, error } = await assign(tenantAdmin, id, 'admin', tenant);
    expect(error).toBeNull();
    expect(data['assignRole'].roles).toEqual([{ role: 'tenant_admin', tenant: { id: tenant } }]);
    expect((await identity.service.authenticator.authenticate(accessToken, null)).viewer.roles).toEqual([{ role: 'tenant_admin', tenantId: tenant }]);
    expect((await assign(tenantAdmin, id, 'tenant-admin', tenant)).data['assignRole'].roles).toHaveLength(1);
    expect((await identity.events()).slice(before)).toEqual([{ type: 'user.access', entityId: id, tenantId: tenant, body: { after: {} } }]);
  });

  it('adds a role in another tenant, that the first one does not see', async () => {
    const id = await user('both');
    const { data } = await assign(admin, id, 'operator', foreign);
    expect(data['assignRole'].roles).toHaveLength(2);
    const seen = await identity.ask(tenantAdmin, 'query ($id: ID!) { user(id: $id) { roles { role tenant { id } } } }', { id });
    expect(seen.data['user'].roles).toEqual([{ role: 'viewer', tenant: { id: tenant } }]);
  });

  it.each([
    ['nobody', 'UNAUTHENTICATED'],
    ['operator', 'FORBIDDEN'],
    ['viewer', 'FORBIDDEN'],
    ['stranger', 'NOT_FOUND'],
  ])('is refused to %s', async (name, code) => {
    expect(await outcome(() => assign(as(name), operator.userId, 'viewer', tenant))).toMatchObject(refused({ code }));
  });

  it('does not draw in users of foreign tenants', async () => {
    expect(await outcome(() => assign(tenantAdmin, stranger.userId, 'viewer', tenant))).toMatchObject(refused({ code: 'NOT_FOUND', field: 'userId' }));
  });

  it('reaches into no foreign tenant', async () => {
    expect(await outcome(() => assign(tenantAdmin, operator.userId, 'viewer', foreign))).toMatchObject(refused({ code: 'NOT_FOUND' }));
  });

  it.each([
    ['a role that is none', 'BAD_USER_INPUT', () => [operator.userId, 'root', tenant]],
    ['an unknown user', 'NOT_FOUND', () => [newId<string>(), 'viewer', tenant]],
    ['an unknown tenant', 'NOT_FOUND', () => [operator.userId, 'viewer', newId<string>()]],
    ['ids that are none', 'NOT_FOUND', () => ['x', 'viewer', tenant]],
  ])('refuses %s', async (_what, code, args) => {
    const [userId = '', role = '', tenantId = ''] = args();
    expect(await outcome(() => assign(admin, userId, role, tenantId))).toMatchObject(refused({ code }));
  });

  it('leaves platform administrators to platform administrators', async () => {
    expect(await outcome(() => assign(tenantAdmin, operator.userId, 'platform_admin', tenant))).toMatchObject(refused({ code: 'FORBIDDEN', field: 'role' }));
    const local = await member(identity, admin, 'local', defaultTenant, 'tenant_admin');
    expect(await outcome(() => assign(local, admin.userId, 'viewer', defaultTenant))).toMatchObject(refused({ code: 'FORBIDDEN', field: 'role' }));
  });

  it('keeps the last platform administrator, and one of two that leave at once', async () => {
    expect(await outcome(() => assign(admin, admin.userId, 'viewer', defaultTenant))).toMatchObject(refused({ code: 'INVALID_STATE', field: 'role' }));
    for (let round = 0; round < 5; round += 1) {
      const other = await makeUser(identity, admin, `heir${round}`, defaultTenant, 'platform_admin');
      const answers = await Promise.all([assign(admin, admin.userId, 'viewer', defaultTenant), assign(admin, other, 'viewer', defaultTenant)]);
      expect(answers.map(({ error }) => error?.code ?? 'done').toSorted()).toEqual(['INVALID_STATE', 'done']);
      await identity.sql("UPDATE identity.role_assignments SET role = 'platform_admin' WHERE user_id = $1", [admin.userId]);
      await identity.sql('DELETE FROM identity.users WHERE id = $1', [other]);
    }
  });
});
