import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Viewer } from '@novacron/contracts';
import { newId } from '@novacron/core';
import { makeTenant, makeUser, member, type TestIdentity } from './identity.ts';
import { DISABLE, REQUIRE, RESET, startSecondFactors, STEP_MS, type SecondFactorKit } from './second-factor.ts';

let kit: SecondFactorKit;
let identity: TestIdentity;
let admin: Viewer;
let tenant: string;
let foreign: string;
let tenantAdmin: Viewer;

beforeAll(async () => {
  kit = await startSecondFactors();
  ({ identity, admin, tenant, foreign, tenantAdmin } = kit);
});
afterAll(() => identity?.close());

describe('an administrator’s help', () => {
  it('takes it away, ends what was open, and tells the owner', async () => {
    const { email, viewer } = await kit.holder('lost');
    const before = await kit.eventsOf(viewer.userId, viewer.sessionId);
    const reset = () => identity.ask(tenantAdmin, RESET, { userId: viewer.userId });
    expect(await reset()).toEqual({ data: { resetSecondFactor: { id: viewer.userId, totpEnabled: false } }, error: null });
    expect((await kit.eventsOf(viewer.userId, viewer.sessionId)).slice(before.length)).toEqual(['session.revoked', 'user.access']);
    expect((await kit.signIn(email)).data['login']).toMatchObject({ secondFactorRequired: false });
    const after = await kit.eventsOf(viewer.userId, viewer.sessionId);
    expect((await reset()).error).toBeNull();
    expect(await kit.eventsOf(viewer.userId, viewer.sessionId)).toEqual(after);
    expect(await kit.changes(email)).toEqual(['enabled', 'reset_by_administrator']);
  });

  it('is refused to who does not administer the whole account', async () => {
    const { viewer } = await kit.holder('target');
    const stranger = await member(identity, admin, 'sfst', foreign, 'tenant_admin');
    const operator = await member(identity, admin, 'sfop', tenant, 'operator');
    const reset = async (by: Viewer | null, userId: string) => (await identity.ask(by, RESET, { userId })).error?.code ?? 'done';
    expect(await reset(null, viewer.userId)).toBe('UNAUTHENTICATED');
    expect(await reset(operator, viewer.userId)).toBe('FORBIDDEN');
    expect(await reset(stranger, viewer.userId)).toBe('NOT_FOUND');
    expect(await reset(tenantAdmin, newId())).toBe('NOT_FOUND');
    expect(await reset(tenantAdmin, 'x')).toBe('NOT_FOUND');
    const both = await makeUser(identity, admin, 'sfboth', tenant, 'viewer');
    await identity.ask(admin, 'mutation ($id: ID!, $in: ID!) { assignRole(userId: $id, role: "viewer", tenantId: $in) { id } }', { id: both, in: foreign });
    expect(await reset(tenantAdmin, both)).toBe('FORBIDDEN');
    expect(await reset(tenantAdmin, await makeUser(identity, admin, 'sfroot', tenant, 'platform_admin'))).toBe('FORBIDDEN');
    expect(await reset(admin, admin.userId)).toBe('FORBIDDEN');
    expect(await kit.state(viewer)).toEqual({ totpEnabled: true, backupCodesLeft: 10 });
  });

  it('is told of to administrators, and not to other members', async () => {
    const { viewer } = await kit.holder('seen');
    const operator = await member(identity, admin, 'sees', tenant, 'operator');
    const ask = (by: Viewer) => identity.ask(by, 'query ($id: ID!) { user(id: $id) { totpEnabled backupCodesLeft } }', { id: viewer.userId });
    expect((await ask(tenantAdmin)).data).toEqual({ user: { totpEnabled: true, backupCodesLeft: 10 } });
    expect((await ask(operator)).error).toMatchObject({ code: 'FORBIDDEN' });
  });
});

describe('a tenant that demands it', () => {
  const demand = (by: Viewer | null, tenantId: string, roles: string[]) => identity.ask(by, REQUIRE, { tenantId, roles });
  const current = async ({ email }: { email: string }, code?: string) => kit.viewerOf((await kit.signIn(email, code)).data['login'].accessToken);

  it('leaves none to the API tokens of people without one, wherever it is demanded, and to service accounts theirs', async () => {
    const place = await makeTenant(identity, admin, 'programs');
    const token = async (by: Viewer, input: object = {}) => {
      const { data, error } = await identity.ask(by, 'mutation ($input: CreateApiTokenInput!) { createApiToken(input: $input) { secret } }', { input: { name: 'x', scopes: ['vm:read'], ...input } });
      if (error) throw new Error(error.message);
      return data['createApiToken'].secret;
    };
    const viewer = await member(identity, admin, 'programmer', place, 'operator');
    const { data } = await identity.ask(admin, 'mutation ($t: ID!) { createServiceAccount(input: { name: "robot", tenantId: $t, role: "operator" }) { id } }', { t: place });
    const [own, robot] = [await token(viewer), await token(admin, { userId: data['createServiceAccount'].id })];
    const held = { roles: [{ role: 'operator', tenantId: place }] };
    expect(await kit.viewerOf(own)).toMatchObject(held);

    await demand(admin, place, ['operator']);
    expect(await kit.viewerOf(own)).toMatchObject({ roles: [], owes: 'second_factor', scopes: ['vm:read'] });
    expect(await kit.viewerOf(robot)).toMatchObject(held);
    await demand(admin, place, []);
    const everywhere = (value: string[]) => identity.ask(admin, 'mutation ($v: JSON!) { updateSetting(name: "secondFactor.roles", value: $v) { name } }', { v: value });
    expect((await everywhere(['operator'])).error).toBeNull();
    expect(await kit.viewerOf(own)).toMatchObject({ roles: [], owes: 'second_factor' });
    await kit.enable({ ...viewer, roles: [], owes: 'second_factor' });
    expect(await kit.viewerOf(own)).toMatchObject(held);
    await identity.sql('DELETE FROM identity.settings');
  });

  it('leaves no role to who has not shown one, at once, until it has', async () => {
    const strict = await makeTenant(identity, admin, 'strict');
    const email = 'owes@example.org';
    const viewer = await member(identity, admin, 'owes', strict, 'operator');
    const token = (await kit.signIn(email)).data['login'].accessToken;
    const bystander = await makeUser(identity, admin, 'owes-not', strict, 'viewer');
    const before = [(await kit.eventsOf(viewer.userId)).length, (await kit.eventsOf(bystander)).length];

    expect((await demand(admin, strict, ['operator', 'Tenant-Admin', 'operator'])).data['requireSecondFactor'].secondFactorRoles).toEqual(['operator', 'tenant_admin']);
    expect(await kit.viewerOf(token)).toMatchObject({ roles: [], owes: 'second_factor' });
    await demand(admin, strict, ['operator', 'tenant_admin']);
    expect([(await kit.eventsOf(viewer.userId)).length, (await kit.eventsOf(bystander)).length]).toEqual([before[0]! + 1, before[1]!]); // both were counted
    expect(await current({ email: 'owes-not@example.org' })).toMatchObject({ roles: [{ role: 'viewer' }] });

    const owing = await kit.viewerOf(token);
    const { secret } = await kit.enable(owing);
    expect(await kit.viewerOf(token)).toMatchObject({ roles: [{ role: 'operator', tenantId: strict }] });
    expect((await kit.viewerOf(token)).owes).toBeUndefined();
    expect((await identity.ask(owing, DISABLE, { code: kit.codeOf(secret) })).error).toMatchObject({ code: 'INVALID_STATE' });
    expect(await current({ email }, kit.codeOf(secret))).toMatchObject({ roles: [{ role: 'operator' }] }); // nor was it spent

    identity.clock.advance(STEP_MS);
    expect((await demand(admin, strict, [])).error).toBeNull();
    expect((await identity.ask(owing, DISABLE, { code: kit.codeOf(secret) })).error).toBeNull();
    expect(await kit.viewerOf(token)).toMatchObject({ roles: [{ role: 'operator' }] });
    await demand(admin, strict, ['operator']);
    expect(await kit.viewerOf(token)).toMatchObject({ roles: [], owes: 'second_factor' }); // what was shown once is gone
  });

  it('is one of many: the setting demands it everywhere', async () => {
    const { viewer, secret } = await kit.holder('setting', 'auditor');
    await identity.sql(`INSERT INTO identity.settings (name, value, changed_at, changed_by) VALUES ('secondFactor.roles', '["auditor"]', now(), $1)`, [admin.userId]);
    try {
      expect((await identity.ask(viewer, DISABLE, { code: kit.codeOf(secret) })).error).toMatchObject({ code: 'INVALID_STATE' });
      await makeUser(identity, admin, 'setting-owes', tenant, 'auditor');
      expect(await current({ email: 'setting-owes@example.org' })).toMatchObject({ roles: [], owes: 'second_factor' });
    } finally {
      await identity.sql('DELETE FROM identity.settings');
    }
  });

  it('is asked by its administrators alone, for roles that there are', async () => {
    const operator = await member(identity, admin, 'sfrequire', tenant, 'operator');
    const code = async (by: Viewer | null, tenantId: string, roles: string[]) => (await demand(by, tenantId, roles)).error;
    expect(await code(null, tenant, [])).toMatchObject({ code: 'UNAUTHENTICATED' });
    expect(await code(operator, tenant, [])).toMatchObject({ code: 'FORBIDDEN' });
    expect(await code(tenantAdmin, foreign, [])).toMatchObject({ code: 'NOT_FOUND', field: 'tenantId' });
    expect(await code(admin, newId(), [])).toMatchObject({ code: 'NOT_FOUND', field: 'tenantId' });
    expect(await code(tenantAdmin, tenant, ['root'])).toMatchObject({ code: 'BAD_USER_INPUT', field: 'roles' });
    expect(await code(tenantAdmin, tenant, ['platform_admin'])).toMatchObject({ code: 'FORBIDDEN', field: 'roles' });
    expect(await code(tenantAdmin, tenant, [])).toBeNull();
    expect(await code(admin, foreign, ['platform_admin'])).toBeNull(); // where nobody is one
    expect(await code(admin, foreign, [])).toBeNull();
  });
});
