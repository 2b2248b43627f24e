import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Viewer } from '@novacron/contracts';
import { newId } from '@novacron/core';
import { login, makeTenant, makeUser, member, startIdentity, type TestIdentity } from './identity.ts';

let identity: TestIdentity;
let acme: string;
let globex: string;
const people: Record<string, Viewer | null> = { nobody: null };
const ids: Record<string, string> = {};

const as = (name: string): Viewer | null => people[name] ?? null;
const admin = (): Viewer => people['admin']!; // beforeAll signs in
const run = async (source: string, variables: object = {}): Promise<void> => expect((await identity.ask(admin(), source, variables)).error).toBeNull();

beforeAll(async () => {
  identity = await startIdentity();
  await identity.service.bootstrap();
  people['admin'] = (await login(identity)).viewer;
  [acme, globex] = [await makeTenant(identity, admin(), 'acme'), await makeTenant(identity, admin(), 'globex')];
  people['boss'] = await member(identity, admin(), 'boss', acme, 'tenant_admin');
  people['auditor'] = await member(identity, admin(), 'auditor', acme, 'auditor');
  people['guest'] = await member(identity, admin(), 'guest', acme, 'viewer');
  people['rival'] = await member(identity, admin(), 'rival', globex, 'tenant_admin');
  for (const name of ['both', 'out', 'gone']) ids[name] = await makeUser(identity, admin(), name, acme, 'viewer');
  await run('mutation ($u: ID!, $t: ID!) { assignRole(userId: $u, tenantId: $t, role: "operator") { id } }', { u: ids['both'], t: globex });
  await run('mutation ($id: ID!) { deactivateUser(id: $id) { id } }', { id: ids['out'] });
  await run('mutation ($id: ID!) { deleteUser(id: $id) { id } }', { id: ids['gone'] });
  await run('mutation ($t: ID!) { inviteUser(input: { email: "asked@example.org", role: "operator", tenantId: $t }) { id } }', { t: acme });
  await run('mutation ($id: ID!) { updateUser(input: { id: $id, username: "guest_of_honour" }) { id } }', { id: as('guest')?.userId });
  await identity.sql("UPDATE identity.users SET email_verified = true WHERE email = 'guest@example.org'");
});
afterAll(() => identity?.close());

type Named = { name: string };
const namesIn = (connection: { totalCount: number; edges: { node: Named }[] }): string[] => {
  const names = connection.edges.map(({ node }) => node.name);
  expect(connection.totalCount).toBe(names.length);
  return names;
};

describe('the users', () => {
  const users = async (by: string, filter: object): Promise<string[]> => {
    const { data, error } = await identity.ask(as(by), 'query ($filter: UserFilter) { users(filter: $filter) { totalCount edges { node { name } } } }', { filter });
    expect(error).toBeNull();
    return namesIn(data['users']);
  };
  const tenant = (name: string): string => (name === 'acme' ? acme : globex);

  it.each([
    ['admin', {}, ['Administrator', 'boss', 'auditor', 'guest', 'rival', 'both', 'out', 'asked']],
    ['admin', { state: 'ACTIVE' }, ['Administrator', 'boss', 'auditor', 'guest', 'rival', 'both']],
    ['admin', { state: 'INVITED' }, ['asked']],
    ['admin', { state: 'DEACTIVATED' }, ['out']],
    ['admin', { state: 'DELETED' }, ['Deleted user']],
    ['boss', { state: 'DELETED' }, []],
    ['boss', { state: 'DEACTIVATED' }, ['out']],
    ['boss', { emailVerified: true }, ['guest']],
    ['boss', { emailVerified: false, state: 'ACTIVE' }, ['boss', 'auditor', 'both']],
    ['admin', { role: 'Tenant Admin' }, ['boss', 'rival']],
    ['admin', { role: 'operator' }, ['both', 'asked']],
    ['boss', { role: 'operator' }, ['asked']],
    ['rival', { role: 'viewer' }, []],
    ['guest', { role: 'viewer' }, ['guest']],
    ['guest', { role: 'tenant_admin' }, []],
    ['boss', { search: 'OF_HONOUR' }, ['guest']],
    ['auditor', { role: 'viewer', emailVerified: false }, ['both', 'out']],
  ])('for %s that match %j', async (by, filter, expected) => expect(await users(by, filter)).toEqual(expected));

  it.each([
    ['admin', 'globex', {}, ['rival', 'both']],
    ['boss', 'acme', {}, ['boss', 'auditor', 'guest', 'both', 'out', 'asked']],
    ['boss', 'globex', {}, []],
    ['boss', 'acme', { role: 'operator' }, ['asked']],
    ['admin', 'globex', { role: 'viewer' }, []],
    ['rival', 'globex', { role: 'operator' }, ['both']],
    ['guest', 'acme', {}, ['guest']],
  ])('for %s in %s that match %j', async (by, where, filter, expected) => expect(await users(by, { ...filter, tenantId: tenant(where) })).toEqual(expected));

  it.each(['no id', newId<string>()])('in %j are none', async (tenantId) => expect(await users('admin', { tenantId })).toEqual([]));

  it('hold a role that there is', async () => {
    expect((await identity.ask(admin(), '{ users(filter: { role: "root" }) { totalCount } }')).error).toMatchObject({ code: 'BAD_USER_INPUT', field: 'filter.role' });
  });
});

describe('the members of a tenant', () => {
  const members = (by: string, id: string, args = '') => identity.ask(as(by), `query ($id: ID!) { tenant(id: $id) { members${args} { totalCount edges { cursor node { name } } pageInfo { hasNextPage } } } }`, { id });

  it.each(['admin', 'boss', 'auditor'])('are shown to %s', async (by) => {
    const { data } = await members(by, acme);
    expect(namesIn(data['tenant'].members)).toEqual(['boss', 'auditor', 'guest', 'both', 'out', 'asked']);
  });

  it('are shown to nobody else', async () => {
    expect((await members('guest', acme)).data).toEqual({ tenant: { members: null } });
    expect((await members('rival', acme)).data).toEqual({ tenant: null });
  });

  it('are read page by page', async () => {
    const first = (await members('boss', acme, '(first: 4)')).data['tenant'].members;
    expect(first.pageInfo.hasNextPage).toBe(true);
    const rest = (await members('boss', acme, `(first: 4, after: "${first.edges.at(-1).cursor}")`)).data['tenant'].members;
    expect([...first.edges, ...rest.edges].map(({ node }: { node: Named }) => node.name)).toEqual(['boss', 'auditor', 'guest', 'both', 'out', 'asked']);
  });
});

describe('updateTenant', () => {
  const update = (by: string, input: object) => identity.ask(as(by), 'mutation ($input: UpdateTenantInput!) { updateTenant(input: $input) { id name quota { vms vcpus memory } } }', { input });

  it('changes what it is called and what it may use, and leaves the rest', async () => {
    const id = await makeTenant(identity, admin(), 'initech');
    expect((await update('admin', { id, quota: { vms: 3, memory: '8GiB' } })).data['updateTenant']).toEqual({ id, name: 'initech', quota: { vms: 3, vcpus: null, memory: 2 ** 33 } });
    expect((await update('admin', { id, name: 'initrode', quota: { vms: null, vcpus: 8 } })).data['updateTenant']).toEqual({ id, name: 'initrode', quota: { vms: null, vcpus: 8, memory: 2 ** 33 } });
    expect((await update('admin', { id })).data['updateTenant'].name).toBe('initrode');
  });

  it.each([
    [{ name: 'acme' }, 'ALREADY_EXISTS', 'name'],
    [{ name: 'No' }, 'BAD_USER_INPUT', 'name'],
    [{ quota: { vms: -1 } }, 'BAD_USER_INPUT', 'quota.vms'],
    [{ id: newId<string>() }, 'NOT_FOUND', undefined],
    [{ id: 'no id' }, 'NOT_FOUND', undefined],
  ])('refuses %j', async (input, code, field) => {
    const { error } = await update('admin', { id: globex, quota: { vms: 1 }, ...input });
    expect(error).toMatchObject(field === undefined ? { code } : { code, field });
    expect((await identity.ask(admin(), 'query ($id: ID!) { tenant(id: $id) { name quota { vms } } }', { id: globex })).data).toEqual({ tenant: { name: 'globex', quota: { vms: null } } });
  });

  it.each([
    ['nobody', 'UNAUTHENTICATED'],
    ['boss', 'FORBIDDEN'],
    ['guest', 'FORBIDDEN'],
  ])('is refused to %s', async (by, code) => {
    expect((await update(by, { id: acme, name: 'other' })).error).toMatchObject({ code });
  });
});
