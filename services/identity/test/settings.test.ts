import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ROLES, type Viewer } from '@novacron/contracts';
import { login, makeTenant, member, PASSWORD, startIdentity, type TestIdentity } from './identity.ts';

let identity: TestIdentity;
let admin: Viewer;
let tenant: string;
let others: Record<string, Viewer>;

beforeAll(async () => {
  identity = await startIdentity();
  await identity.service.bootstrap();
  admin = (await login(identity)).viewer;
  tenant = await makeTenant(identity, admin, 'acme');
  others = {
    tenantAdmin: await member(identity, admin, 'ta', tenant, 'tenant_admin'),
    auditor: await member(identity, admin, 'au', tenant, 'auditor'),
    operator: await member(identity, admin, 'op', tenant, 'operator'),
  };
});
afterAll(() => identity?.close());

const UPDATE = 'mutation ($name: String!, $value: JSON) { updateSetting(name: $name, value: $value) { name value default changedAt changedBy { id } } }';
const update = (name: string, value: unknown, by: Viewer | null = admin) => identity.ask(by, UPDATE, { name, value });
const viewerOf = async (accessToken: string): Promise<Viewer> => (await identity.service.authenticator.authenticate(accessToken, null)).viewer;
const changes = async (name: string) => (await identity.ask(admin, 'query ($name: String) { settingChanges(name: $name) { totalCount edges { node { name before after changedAt changedBy { id } } } } }', { name })).data['settingChanges'];

describe('settings', () => {
  it('are listed with what they do, take, and are without a word from anybody', async () => {
    const { data } = await identity.ask(admin, '{ settings { name description value default schema changedAt changedBy { id } } }');
    const names = data['settings'].map(({ name }: { name: string }) => name);
    expect(names).toEqual(names.toSorted());
    expect(data['settings']).toContainEqual({
      name: 'registration.open',
      description: expect.stringContaining('register'),
      value: true,
      default: true,
      schema: expect.objectContaining({ type: 'boolean' }),
      changedAt: null,
      changedBy: null,
    });
  });

  it('hold what an administrator says, with who said it and when, until it is the default again', async () => {
    const at = identity.clock.now().toISOString();
    const { data } = await update('signIn.verifiedOnly', true);
    expect(data['updateSetting']).toEqual({ name: 'signIn.verifiedOnly', value: true, default: false, changedAt: at, changedBy: { id: admin.userId } });
    await update('signIn.verifiedOnly', true);
    expect((await update('signIn.verifiedOnly', null)).data['updateSetting']).toMatchObject({ value: false, changedAt: null, changedBy: null });
    await update('signIn.verifiedOnly', null);
    const by = { changedAt: at, changedBy: { id: admin.userId }, name: 'signIn.verifiedOnly' };
    const { totalCount, edges } = await changes('signIn.verifiedOnly');
    expect(totalCount).toBe(2);
    expect(edges).toEqual(expect.arrayContaining([{ node: { ...by, before: true, after: null } }, { node: { ...by, before: null, after: true } }]));
  });

  it('are changed one after the other: the history has no gap', async () => {
    const values = ROLES.map((role) => [role]);
    await Promise.all(values.map((value) => update('secondFactor.roles', value)));
    const { edges } = await changes('secondFactor.roles');
    const said = (side: 'before' | 'after') => edges.map(({ node }: { node: { before: unknown; after: unknown } }) => JSON.stringify(node[side]));
    const { data } = await identity.ask(admin, '{ settings { name value } }');
    const last = JSON.stringify(data['settings'].find(({ name }: { name: string }) => name === 'secondFactor.roles').value);
    expect(said('after').toSorted()).toEqual(values.map((value) => JSON.stringify(value)).toSorted());
    expect([...said('before'), last].toSorted()).toEqual([...said('after'), 'null'].toSorted()); // each began with what another had ended with
    await update('secondFactor.roles', null);
  });

  it('take effect at once: whoever owes a second factor may do nothing else, and everybody is told', async () => {
    const { accessToken } = await login(identity, { email: 'op@example.org', password: PASSWORD });
    const before = (await identity.events()).length;
    await update('secondFactor.roles', ['operator']);
    expect(await viewerOf(accessToken)).toMatchObject({ roles: [], owes: 'second_factor' });
    expect((await identity.events()).slice(before).map(({ type, entityId }) => [type, entityId])).toEqual([['user.access', others['operator']!.userId]]); // made above
    await update('secondFactor.roles', null);
    expect((await viewerOf(accessToken)).owes).toBeUndefined();
  });

  it.each([
    ['registration.open', 'yes'],
    ['registration.open', { open: true }],
    ['registration.open', 1],
    ['secondFactor.roles', 'operator'],
    ['secondFactor.roles', ['root']],
    ['secondFactor.roles', ['operator', 'operator']],
    ['secondFactor.roles', { length: 0 }],
  ])('refuse %s = %j, and stay what they were', async (name, value) => {
    const before = await changes(name);
    expect((await update(name, value)).error).toMatchObject({ code: 'BAD_USER_INPUT', field: 'value' });
    expect(await changes(name)).toEqual(before);
  });

  it.each(['nothing', '__proto__', 'constructor', 'toString', ''])('know none called %j', async (name) => {
    expect((await update(name, true)).error).toMatchObject({ code: 'NOT_FOUND', field: 'name' });
    expect((await identity.ask(admin, 'query ($name: String) { settingChanges(name: $name) { totalCount } }', { name })).error).toMatchObject({ code: 'NOT_FOUND' });
  });

  it('are for nobody else to read or change', async () => {
    for (const viewer of [...Object.values(others), null]) {
      const code = viewer === null ? 'UNAUTHENTICATED' : 'FORBIDDEN';
      expect((await update('registration.open', false, viewer)).error).toMatchObject({ code });
      expect((await identity.ask(viewer, '{ settings { name } }')).error).toMatchObject({ code });
      expect((await identity.ask(viewer, '{ settingChanges { totalCount } }')).error).toMatchObject({ code });
    }
    expect((await changes('registration.open')).totalCount).toBe(0);
  });
});
