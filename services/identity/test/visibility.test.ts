import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { Viewer } from '@novacron/contracts';
import { newId } from '@novacron/core';
import { login, makeTenant, makeUser, member, PASSWORD, startIdentity, type TestIdentity } from './identity.ts';

let identity: TestIdentity;
let admin: Viewer;
let acme: string;
let globex: string;
const people: Record<string, Viewer> = {};

beforeAll(async () => {
  identity = await startIdentity();
  await identity.service.bootstrap();
  admin = (await login(identity)).viewer;
  acme = await makeTenant(identity, admin, 'acme');
  globex = await makeTenant(identity, admin, 'globex');
  people['admin'] = admin;
  for (const [name, tenantId, role] of [
    ['boss', acme, 'tenant_admin'],
    ['worker', acme, 'operator'],
    ['guest', acme, 'viewer'],
    ['rival', globex, 'tenant_admin'],
  ] as const) {
    people[name] = await member(identity, admin, name, tenantId, role);
  }
  const { userId } = await member(identity, admin, 'both', acme, 'viewer');
  await identity.ask(admin, 'mutation ($u: ID!, $t: ID!) { assignRole(userId: $u, role: "operator", tenantId: $t) { id } }', { u: userId, t: globex });
  people['both'] = (await login(identity, { email: 'both@example.org', password: PASSWORD })).viewer;
});
afterAll(() => identity?.close());

const viewerOf = (name: string): Viewer | null => people[name] ?? null;
const idOf = (name: string): string => people[name]?.userId ?? newId();

describe('a user', () => {
  const field = (by: string, of: string, selection: string) =>
    identity.ask(viewerOf(by), `query ($id: ID!) { user(id: $id) { ${selection} } }`, { id: idOf(of) });

  it.each([
    ['guest', 'guest', true],
    ['guest', 'worker', true],
    ['guest', 'rival', false],
    ['guest', 'admin', false],
    ['boss', 'worker', true],
    ['boss', 'rival', false],
    ['rival', 'guest', false],
    ['admin', 'rival', true],
    ['admin', 'unknown', false],
  ])('as %s sees %s: %s', async (by, of, seen) => {
    const selection = 'id name email username state emailVerified createdAt';
    const asked = await field(by, of, selection);
    const entity = await identity.ask(viewerOf(by), `query ($r: [_Any!]!) { _entities(representations: $r) { ... on User { ${selection} } } }`, {
      r: [{ __typename: 'User', id: idOf(of) }],
    });
    expect([asked.error, entity.error]).toEqual([null, null]);
    expect(asked.data['user']?.id ?? null).toBe(seen ? idOf(of) : null);
    expect(entity.data['_entities']).toEqual([asked.data['user']]);
  });

  it.each(
    ['roles { role }', 'permissions', 'sessions { id createdAt lastUsedAt address device current }'].flatMap((selection) =>
      (
        [
          ['guest', 'guest', true],
          ['guest', 'worker', false],
          ['worker', 'guest', false],
          ['boss', 'worker', true],
          ['admin', 'rival', true],
          ['admin', 'admin', true],
        ] as const
      ).map(([by, of, open]) => [selection, of, by, open] as const),
    ),
  )('shows %s of %s to %s: %s', async (selection, of, by, open) => {
    const { error } = await field(by, of, selection);
    expect(error?.code ?? 'shown').toBe(open ? 'shown' : 'FORBIDDEN');
  });

  it('in two tenants shows its sessions to neither administrator, and its roles to each in part', async () => {
    expect((await field('boss', 'both', 'sessions { id }')).error).toMatchObject({ code: 'FORBIDDEN' });
    expect((await field('boss', 'both', 'permissions')).data['user'].permissions).not.toContain('vm:start');
    expect((await field('rival', 'both', 'permissions')).data['user'].permissions).toContain('vm:start');
    expect((await field('both', 'both', 'roles { role }')).data['user'].roles).toHaveLength(2);
  });

  it('who administers the platform shows its sessions to no tenant administrator', async () => {
    const local = await member(identity, admin, 'local', admin.roles[0]!.tenantId, 'tenant_admin'); // bootstrap gave it
    const ask = (selection: string) => identity.ask(local, `query ($id: ID!) { user(id: $id) { ${selection} } }`, { id: admin.userId });
    expect((await ask('roles { role }')).data).toEqual({ user: { roles: [{ role: 'platform_admin' }] } });
    expect((await ask('sessions { id }')).error).toMatchObject({ code: 'FORBIDDEN' });
    await identity.sql('DELETE FROM identity.users WHERE id = $1', [local.userId]);
  });

  it('knows which session asks, and shows none that has ended', async () => {
    const again = await login(identity);
    const ended = await login(identity);
    await identity.ask(ended.viewer, 'mutation { logout }');
    const { data } = await identity.ask(again.viewer, '{ me { sessions { id current } } }');
    const sessions: { id: string; current: boolean }[] = data['me'].sessions;
    expect(sessions.filter((session) => session.current).map(({ id }) => id)).toEqual([again.viewer.sessionId]);
    expect(sessions.map(({ id }) => id)).not.toContain(ended.viewer.sessionId);
  });

  it.each(['', 'x', "' OR 1=1", '\u0000'])('is not there under %j', async (id) => {
    expect(await identity.ask(admin, 'query ($id: ID!) { user(id: $id) { id } tenant(id: $id) { id } }', { id })).toEqual({
      data: { user: null, tenant: null },
      error: null,
    });
  });
});

describe('a tenant', () => {
  it.each([
    ['guest', 'acme', true],
    ['guest', 'globex', false],
    ['rival', 'acme', false],
    ['admin', 'acme', true],
  ])('as %s sees %s: %s', async (by, name, seen) => {
    const id = name === 'acme' ? acme : globex;
    const expected = seen ? { name, quota: { vms: null }, usage: { vms: 0 } } : null;
    const selection = 'name quota { vms } usage { vms }';
    expect((await identity.ask(viewerOf(by), `query ($id: ID!) { tenant(id: $id) { ${selection} } }`, { id })).data).toEqual({ tenant: expected });
    const entity = await identity.ask(viewerOf(by), `query ($r: [_Any!]!) { _entities(representations: $r) { ... on Tenant { ${selection} } } }`, {
      r: [{ __typename: 'Tenant', id }],
    });
    expect(entity.data).toEqual({ _entities: [expected] });
  });
});

describe('nobody', () => {
  it.each(['me { id }', `user(id: "x") { id }`, 'users { totalCount }', 'tenant(id: "x") { id }', 'tenants { totalCount }'])('is refused %s', async (selection) => {
    expect((await identity.ask(null, `{ ${selection} }`)).error).toMatchObject({ code: 'UNAUTHENTICATED' });
  });

  it('finds no entity', async () => {
    const r = [{ __typename: 'User', id: idOf('guest') }, { __typename: 'Tenant', id: acme }];
    expect(await identity.ask(null, 'query ($r: [_Any!]!) { _entities(representations: $r) { __typename } }', { r })).toEqual({
      data: { _entities: [null, null] },
      error: null,
    });
  });
});

describe('the lists', () => {
  const names = async (by: string, args = '') => {
    const { data, error } = await identity.ask(viewerOf(by), `{ users${args} { totalCount edges { node { name } } } }`);
    expect(error).toBeNull();
    const found = data['users'].edges.map((edge: { node: { name: string } }) => edge.node.name);
    expect(data['users'].totalCount).toBe(found.length);
    return found;
  };

  it.each([
    ['guest', ['guest']],
    ['worker', ['worker']],
    ['rival', ['rival', 'both']],
    ['boss', ['boss', 'worker', 'guest', 'both']],
    ['admin', ['Administrator', 'boss', 'worker', 'guest', 'rival', 'both']],
  ])('show %s the users it may read', async (by, expected) => expect(await names(by)).toEqual(expected));

  it.each([
    ['WORK', ['worker']],
    ['example.org', ['Administrator', 'boss', 'worker', 'guest', 'rival', 'both']],
    ['admin@', ['Administrator']],
    ['%', []],
    ['_', []],
    ['\\\\', []],
    ['', ['Administrator', 'boss', 'worker', 'guest', 'rival', 'both']],
  ])('find %j', async (search, expected) => expect(await names('admin', `(filter: { search: "${search}" })`)).toEqual(expected));

  it('do not find what is hidden', async () => expect(await names('boss', '(filter: { search: "rival" })')).toEqual([]));

  it.each([
    ['boss', ['acme']],
    ['both', ['acme', 'globex']],
    ['admin', ['default', 'acme', 'globex']],
  ])('show %s its tenants', async (by, expected) => {
    const { data } = await identity.ask(viewerOf(by), '{ tenants { totalCount edges { node { name } } } }');
    expect(data['tenants'].edges.map((edge: { node: { name: string } }) => edge.node.name)).toEqual(expected);
    expect(data['tenants'].totalCount).toBe(expected.length);
  });

  it('are read page by page, both ways', async () => {
    const page = async (args: string) => (await identity.ask(admin, `{ users(${args}) { edges { cursor node { name } } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } }`)).data['users'];
    const [first, all] = [await page('first: 2'), (await page('first: 500')).edges];
    expect(first.pageInfo).toMatchObject({ hasNextPage: true, hasPreviousPage: false });
    const second = await page(`first: 10, after: "${first.pageInfo.endCursor}"`);
    expect([...first.edges, ...second.edges]).toEqual(all);
    expect(second.pageInfo).toMatchObject({ hasNextPage: false, hasPreviousPage: true });
    expect((await page(`last: 2, before: "${second.pageInfo.startCursor}"`)).edges).toEqual(first.edges);
  });

  const cursor = (key: unknown) => Buffer.from(JSON.stringify(key)).toString('base64url');
  it.each([
    ['first: 501', 'first'],
    ['first: -1', 'first'],
    ['after: "x"', 'after'],
    [`after: "${cursor(['x'])}"`, 'after'],
    [`before: "${cursor(["'; --"])}"`, 'before'],
    ['filter: { search: "a\\u0000" }', 'filter.search'],
  ])('refuse %s', async (args, field) => {
    expect((await identity.ask(admin, `{ users(${args}) { totalCount } }`)).error).toMatchObject({ code: 'BAD_USER_INPUT', field });
  });
});

describe('the number of queries', () => {
  it('does not grow with the number of objects', async () => {
    const ids: string[] = [];
    for (let index = 0; index < 40; index += 1) ids.push(await makeUser(identity, admin, `many${index}`, acme, 'viewer'));
    const r = [
      ...ids.map((id) => ({ __typename: 'User', id })),
      ...[acme, globex, newId<string>()].map((id) => ({ __typename: 'Tenant', id })),
    ];
    const query = vi.spyOn(pg.Client.prototype, 'query');
    try {
      const count = async (source: string, variables = {}) => {
        query.mockClear();
        const { error } = await identity.ask(admin, source, variables);
        expect(error).toBeNull();
        return query.mock.calls.length;
      };
      const user = 'email roles { role tenant { name quota { vms } usage { vms } } } permissions sessions { id }';
      const entities = `query ($r: [_Any!]!) { _entities(representations: $r) { ... on User { ${user} } ... on Tenant { name quota { vms } } } }`;
      // users and their roles, tenants, quotas, sessions
      expect(await count(entities, { r })).toBeLessThanOrEqual(6);
      expect(await count(entities, { r: [r[0], r.at(-1)] })).toBeLessThanOrEqual(6);
      expect(await count(`{ users(first: 50) { edges { node { ${user} } } } }`)).toBeLessThanOrEqual(6);
      expect(await count('{ tenants { edges { node { quota { vms } usage { vms } } } } }')).toBeLessThanOrEqual(3);
    } finally {
      query.mockRestore();
    }
  });
});
