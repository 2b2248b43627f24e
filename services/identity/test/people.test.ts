import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Viewer } from '@novacron/contracts';
import { newId, type UserId } from '@novacron/core';
import { openDatabase } from '../src/store/database.ts';
import { openSession } from '../src/store/sessions.ts';
import { ADMIN, login, LOGIN, makeTenant, makeUser, member, PASSWORD, startIdentity, type TestIdentity } from './identity.ts';
import { startMailServer, type TestMailServer } from './mail.ts';

let identity: TestIdentity;
let server: TestMailServer;
let acme: string;
let globex: string;
let platform: string;
/** Members of acme: one of it alone, one of globex, too, and two who administer the platform, there or elsewhere. */
let bystander: string;
let outOfReach: string[];
const people: Record<string, Viewer | null> = { nobody: null };

beforeAll(async () => {
  server = await startMailServer();
  identity = await startIdentity({ mail: server.options });
  await identity.service.bootstrap();
  const admin = (await login(identity)).viewer;
  people['admin'] = admin;
  platform = admin.roles[0]!.tenantId; // bootstrap gave it
  [acme, globex] = [await makeTenant(identity, admin, 'acme'), await makeTenant(identity, admin, 'globex')];
  people['boss'] = await member(identity, admin, 'boss', acme, 'tenant_admin');
  people['guest'] = await member(identity, admin, 'guest', acme, 'viewer');
  people['rival'] = await member(identity, admin, 'rival', globex, 'tenant_admin');
  bystander = (await somebody()).id;
  const [both, local, visitor] = [(await somebody()).id, (await somebody('platform_admin')).id, (await somebody()).id];
  await alsoIn(both, globex);
  await alsoIn(visitor, platform, 'platform_admin');
  outOfReach = [both, local, visitor];
});
afterAll(async () => {
  await identity?.close();
  await server?.stop();
});

const as = (name: string): Viewer | null => people[name] ?? null;
const admin = (): Viewer => people['admin']!; // beforeAll signs in

let made = 0;
/** A member of acme whom nobody else needs. */
async function somebody(role = 'viewer', tenantId = acme): Promise<{ id: string; name: string; email: string }> {
  const name = `some${(made += 1)}`;
  return { id: await makeUser(identity, admin(), name, tenantId, role), name, email: `${name}@example.org` };
}
const alsoIn = (userId: string, tenantId: string, role = 'viewer') =>
  identity.ask(admin(), 'mutation ($u: ID!, $t: ID!, $r: String!) { assignRole(userId: $u, tenantId: $t, role: $r) { id } }', { u: userId, t: tenantId, r: role });

/** Everything that a refused request could have changed. */
const everything = () =>
  identity.sql(`SELECT (SELECT md5(string_agg(u::text, '|' ORDER BY id)) FROM identity.users u) AS users,
    (SELECT md5(string_agg(r::text, '|' ORDER BY user_id, tenant_id)) FROM identity.role_assignments r) AS roles,
    (SELECT count(*) FROM identity.sessions WHERE revoked_at IS NULL) AS sessions, (SELECT count(*) FROM operations.outbox) AS events, (SELECT count(*) FROM identity.mails) AS mails`);
async function refusal(run: () => Promise<{ error: unknown }>): Promise<unknown> {
  const before = await everything();
  const { error } = await run();
  expect(await everything()).toEqual(before);
  return error;
}
const eventsAbout = async (...ids: string[]) => (await identity.events()).filter(({ entityId }) => ids.includes(entityId)).map(({ type }) => type);
const authenticates = (accessToken: string): Promise<boolean> =>
  identity.service.authenticator.authenticate(accessToken, null).then(
    () => true,
    (error: unknown) => {
      expect(error).toMatchObject({ code: 'UNAUTHENTICATED' });
      return false;
    },
  );

const SEEN = 'id name email username state emailVerified roles { role tenant { id } }';
const VERBS = ['deactivateUser', 'reactivateUser', 'deleteUser', 'forcePasswordReset', 'endSessions'] as const;
const argument = (verb: (typeof VERBS)[number]) => (verb === 'forcePasswordReset' || verb === 'endSessions' ? 'userId' : 'id');
const does = (by: Viewer | null, verb: (typeof VERBS)[number], id: string) => identity.ask(by, `mutation ($id: ID!) { ${verb}(${argument(verb)}: $id) { ${SEEN} } }`, { id });
const update = (by: Viewer | null, input: object) => identity.ask(by, `mutation ($input: UpdateUserInput!) { updateUser(input: $input) { ${SEEN} } }`, { input });
const removeRole = (by: Viewer | null, userId: string, tenantId: string) => identity.ask(by, 'mutation ($u: ID!, $t: ID!) { removeRole(userId: $u, tenantId: $t) }', { u: userId, t: tenantId });

describe.each([...VERBS, 'updateUser'] as const)('%s', (verb) => {
  const run = (by: Viewer | null, id: string) => (verb === 'updateUser' ? update(by, { id, name: 'Changed' }) : does(by, verb, id));

  it.each([
    ['nobody', 'UNAUTHENTICATED'],
    ['guest', 'FORBIDDEN'],
    ['rival', 'NOT_FOUND'],
  ])('is refused to %s', async (by, code) => {
    expect(await refusal(() => run(as(by), bystander))).toMatchObject({ code });
  });

  it('of a tenant administrator reaches nobody who is also elsewhere, or administers the platform', async () => {
    for (const id of outOfReach) expect(await refusal(() => run(as('boss'), id))).toMatchObject({ code: 'FORBIDDEN' });
  });

  it.each([newId<string>(), 'no id', ''])('does not find %j', async (id) => {
    expect(await refusal(() => run(admin(), id))).toMatchObject({ code: 'NOT_FOUND' });
  });
});

describe('updateUser', () => {
  it('changes what a user is called, which it signs in with', async () => {
    const { id, email } = await somebody();
    const { data, error } = await update(as('boss'), { id, name: ' Grace Hopper ', username: 'Grace.H' });
    expect(error).toBeNull();
    expect(data['updateUser']).toEqual({ id, name: 'Grace Hopper', email, username: 'grace.h', state: 'ACTIVE', emailVerified: false, roles: [{ role: 'viewer', tenant: { id: acme } }] });
    expect((await login(identity, { email: 'GRACE.h', password: PASSWORD })).viewer.userId).toBe(id);
    expect((await update(as('boss'), { id, username: null })).data['updateUser'].username).toBeNull();
    expect((await update(as('boss'), { id })).data['updateUser'].name).toBe('Grace Hopper');
  });

  it('gives another address: the old one is told, and its links are void', async () => {
    const { id, email } = await somebody();
    await identity.sql('UPDATE identity.users SET email_verified = true WHERE id = $1', [id]);
    await does(as('boss'), 'forcePasswordReset', id);
    const { token } = await server.arrived(email, /new password/);
    const { data } = await update(as('boss'), { id, email: `New-${email}` });
    expect(data['updateUser']).toMatchObject({ email: `new-${email}`, emailVerified: false });
    expect((await server.arrived(email, /address of your account was changed/)).text).toContain('192.0.2.1');
    const { error } = await identity.ask(null, 'mutation ($t: String!) { resetPassword(token: $t, newPassword: "another fine password") { accessToken } }', { t: token });
    expect(error).toMatchObject({ code: 'BAD_USER_INPUT', field: 'token' });
  });

  it.each([
    [{ name: '' }, 'BAD_USER_INPUT', 'name'],
    [{ email: 'no address' }, 'BAD_USER_INPUT', 'email'],
    [{ username: 'a@b' }, 'BAD_USER_INPUT', 'username'],
    [{ email: 'GUEST@example.org' }, 'ALREADY_EXISTS', 'email'],
    [{ username: 'taken' }, 'ALREADY_EXISTS', 'username'],
  ])('refuses %j, and changes nothing else', async (changes, code, field) => {
    await update(admin(), { id: as('rival')?.userId, username: 'taken' });
    const { id } = await somebody();
    expect(await refusal(() => update(admin(), { id, name: 'Other', ...changes }))).toMatchObject({ code, field });
  });
});

describe('updateUser of an address', () => {
  it('is refused for whoever has none to give up', async () => {
    const invited = await identity.ask(admin(), 'mutation ($input: InviteUserInput!) { inviteUser(input: $input) { id } }', { input: { email: 'coming@example.org', role: 'viewer', tenantId: acme } });
    const robot = await identity.ask(admin(), 'mutation ($input: CreateServiceAccountInput!) { createServiceAccount(input: $input) { id } }', { input: { name: 'robot', role: 'viewer', tenantId: acme } });
    for (const { id } of [invited.data['inviteUser'], robot.data['createServiceAccount']]) {
      expect(await refusal(() => update(admin(), { id, email: 'other@example.org' }))).toMatchObject({ code: 'INVALID_STATE', field: 'email' });
      expect((await update(admin(), { id, name: 'Called so' })).data['updateUser'].name).toBe('Called so');
    }
  });
});

describe('deactivateUser', () => {
  it('keeps a user out at once, until it is let in again', async () => {
    const { id, email } = await somebody();
    const { accessToken, refreshToken, viewer } = await login(identity, { email, password: PASSWORD });
    const program = await identity.ask(viewer, 'mutation { createApiToken(input: { name: "program", scopes: ["vm:read"] }) { secret } }');
    const { secret } = program.data['createApiToken'];
    expect(await authenticates(secret)).toBe(true);
    const { data } = await does(as('boss'), 'deactivateUser', id);
    expect(await authenticates(secret)).toBe(false);
    expect(data['deactivateUser']).toMatchObject({ state: 'DEACTIVATED', roles: [{ role: 'viewer' }] });
    expect(await eventsAbout(id, viewer.sessionId)).toEqual(['user.access', 'session.revoked', 'user.access']);
    expect(await authenticates(accessToken)).toBe(false);
    const refused = { code: 'UNAUTHENTICATED' };
    expect((await identity.ask(null, 'mutation ($t: String!) { refreshSession(refreshToken: $t) { accessToken } }', { t: refreshToken })).error).toMatchObject(refused);
    expect((await identity.ask(null, LOGIN, { email, password: PASSWORD })).error).toEqual((await identity.ask(null, LOGIN, { email, password: 'a wrong password' })).error);
    expect(await refusal(() => does(as('boss'), 'deactivateUser', id))).toMatchObject({ code: 'INVALID_STATE' });

    expect((await does(as('boss'), 'reactivateUser', id)).data['reactivateUser'].state).toBe('ACTIVE');
    expect(await authenticates(accessToken)).toBe(false);
    expect((await login(identity, { email, password: PASSWORD })).viewer.roles).toEqual([{ role: 'viewer', tenantId: acme }]);
    expect(await refusal(() => does(as('boss'), 'reactivateUser', id))).toMatchObject({ code: 'INVALID_STATE' });
  });

  it('lets nobody slip in whose password was looked at before', async () => {
    const { id } = await somebody();
    await does(as('boss'), 'deactivateUser', id);
    const db = openDatabase(identity.databaseUrl);
    try {
      const session = { userId: id as UserId, tokenHash: randomBytes(32), origin: { address: null, device: null }, secondFactor: false, at: identity.clock.now(), lifetimeMs: 1_000 }; // an id of the graph's
      await expect(db.$transaction((tx) => openSession(tx, session))).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
    } finally {
      await db.$disconnect();
    }
    expect(await identity.sql('SELECT 1 FROM identity.sessions WHERE user_id = $1', [id])).toEqual([]);
  });

  it('is nothing that one does to oneself', async () => {
    expect(await refusal(() => does(as('boss'), 'deactivateUser', as('boss')!.userId))).toMatchObject({ code: 'INVALID_STATE' }); // signed in above
  });

  it('leaves one platform administrator who can sign in, whoever goes at once', async () => {
    const [, ...administrators] = outOfReach;
    await identity.sql('DELETE FROM identity.users WHERE id = ANY ($1)', [administrators]);
    for (let round = 0; round < 5; round += 1) {
      const heir = await somebody('platform_admin', platform);
      const invited = await identity.ask(admin(), 'mutation ($input: InviteUserInput!) { inviteUser(input: $input) { id } }', {
        input: { email: `heir${round}@example.org`, role: 'platform_admin', tenantId: platform },
      });
      const { viewer } = await login(identity, { email: heir.email, password: PASSWORD });
      const answers = await Promise.all([
        does(admin(), round % 2 === 0 ? 'deactivateUser' : 'deleteUser', heir.id),
        round % 3 === 0 ? removeRole(viewer, admin().userId, platform) : does(viewer, 'deactivateUser', admin().userId),
      ]);
      expect(answers.filter(({ error }) => error === null)).toHaveLength(1);
      expect(answers.find(({ error }) => error !== null)?.error?.code).toMatch(/INVALID_STATE|FORBIDDEN|NOT_FOUND/);
      await identity.sql('UPDATE identity.users SET deactivated_at = NULL WHERE id = $1', [admin().userId]);
      await identity.sql("INSERT INTO identity.role_assignments (user_id, tenant_id, role) VALUES ($1, $2, 'platform_admin') ON CONFLICT DO NOTHING", [admin().userId, platform]);
      await identity.sql('DELETE FROM identity.users WHERE id = ANY ($1)', [[heir.id, invited.data['inviteUser'].id]]);
    }
    people['admin'] = (await login(identity, ADMIN)).viewer;
  });
});

describe('endSessions', () => {
  it('signs a user out everywhere, and nobody else', async () => {
    const { id, email } = await somebody();
    const sessions = [await login(identity, { email, password: PASSWORD }), await login(identity, { email, password: PASSWORD })];
    const other = await login(identity, { email: 'guest@example.org', password: PASSWORD });
    expect((await does(as('boss'), 'endSessions', id)).error).toBeNull();
    for (const { accessToken } of sessions) expect(await authenticates(accessToken)).toBe(false);
    expect(await authenticates(other.accessToken)).toBe(true);
    expect((await eventsAbout(...sessions.map(({ viewer }) => viewer.sessionId))).toSorted()).toEqual(['session.revoked', 'session.revoked']);
    expect(await authenticates((await login(identity, { email, password: PASSWORD })).accessToken)).toBe(true);
  });
});

describe('deleteUser', () => {
  it('is for platform administrators', async () => {
    expect(await refusal(() => does(as('boss'), 'deleteUser', bystander))).toMatchObject({ code: 'FORBIDDEN' });
  });

  it('leaves nothing of the person, and an id that still resolves', async () => {
    const { id, email, name } = await somebody();
    await update(admin(), { id, name: 'Zyx Wvut', username: 'zyxwvut' });
    const device = { userAgent: 'Zyxzilla' };
    const { data: signedIn } = await identity.ask(null, LOGIN, { email, password: PASSWORD }, device);
    const { viewer } = await identity.service.authenticator.authenticate(signedIn['login'].accessToken, null);
    const own = async (source: string) => {
      const { data, error } = await identity.ask(viewer, source, {}, device);
      expect(error).toBeNull();
      return data;
    };
    const key = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ4t1MfUuYEwhZcQhPZGo1h2n6ZtFhRMkqgWzQ0qgVxL zyx@laptop';
    await own(`mutation { addSshKey(input: { name: "zyx", publicKey: "${key}" }) { id } }`);
    const { createApiToken: token } = await own('mutation { createApiToken(input: { name: "zyx", scopes: ["vm:read"] }) { secret } }');
    await own('mutation { beginTotp { secret } }');
    await does(admin(), 'forcePasswordReset', id);
    await server.arrived(email, /new password/);

    const { data, error } = await does(admin(), 'deleteUser', id);
    expect(error).toBeNull();
    const gone = { id, name: 'Deleted user', email: `${id}@deleted.invalid`, username: null, state: 'DELETED', emailVerified: false, roles: [] };
    expect(data['deleteUser']).toEqual(gone);
    expect(await authenticates(signedIn['login'].accessToken)).toBe(false);
    expect(await authenticates(token.secret)).toBe(false);

    const naming: string[] = [];
    for (const { table } of await identity.sql<{ table: string }>("SELECT tablename AS table FROM pg_tables WHERE schemaname = 'identity'")) {
      const rows = await identity.sql<{ row: string }>(`SELECT t::text AS row FROM identity.${table} t WHERE strpos(t::text, $1) > 0 OR t::text ~* $2`, [id, `zyx|${email}`]);
      for (const { row } of rows) expect(row).not.toMatch(/zyx|@example|192\.0\.2/i);
      if (rows.length > 0) naming.push(table);
    }
    // what has ended is kept until everybody has heard of it, and who gave which role for whoever asks
    expect(naming.toSorted()).toEqual(['api_tokens', 'role_changes', 'sessions', 'users']);

    for (const by of ['admin', 'guest', 'rival']) {
      const seen = await identity.ask(as(by), `query ($r: [_Any!]!) { _entities(representations: $r) { ... on User { ${SEEN} } } }`, { r: [{ __typename: 'User', id }] });
      expect(seen.data).toEqual({ _entities: [gone] });
    }
    for (const verb of VERBS) expect(await refusal(() => does(admin(), verb, id))).toMatchObject({ code: 'NOT_FOUND' });
    expect((await alsoIn(id, acme)).error).toMatchObject({ code: 'NOT_FOUND' });
    expect(await makeUser(identity, admin(), name, acme, 'viewer')).not.toBe(id); // the address is free again
  });
});

describe('removeRole', () => {
  it('takes a user out of one tenant, and says so', async () => {
    const { id, email } = await somebody();
    await alsoIn(id, globex, 'operator');
    const { accessToken } = await login(identity, { email, password: PASSWORD });
    expect(await removeRole(as('boss'), id, acme)).toEqual({ data: { removeRole: true }, error: null });
    expect((await identity.service.authenticator.authenticate(accessToken, null)).viewer.roles).toEqual([{ role: 'operator', tenantId: globex }]);
    expect((await identity.events()).at(-1)).toMatchObject({ type: 'user.access', entityId: id, tenantId: acme });
    expect((await identity.ask(as('boss'), 'query ($id: ID!) { user(id: $id) { id } }', { id })).data).toEqual({ user: null });
    const changes = await identity.sql('SELECT before, after, by FROM identity.role_changes WHERE user_id = $1 AND tenant_id = $2 ORDER BY id', [id, acme]);
    expect(changes).toEqual([
      { before: null, after: 'viewer', by: admin().userId },
      { before: 'viewer', after: null, by: as('boss')?.userId },
    ]);
  });

  it.each([
    ['nobody', 'UNAUTHENTICATED'],
    ['guest', 'FORBIDDEN'],
    ['rival', 'NOT_FOUND'],
  ])('is refused to %s', async (by, code) => {
    expect(await refusal(() => removeRole(as(by), bystander, acme))).toMatchObject({ code });
  });

  it('finds no one who is no member, and leaves platform administrators to their like', async () => {
    expect(await refusal(() => removeRole(as('boss'), as('rival')!.userId, acme))).toMatchObject({ code: 'NOT_FOUND', field: 'userId' }); // signed in above
    const local = await somebody('tenant_admin', platform);
    const { viewer } = await login(identity, { email: local.email, password: PASSWORD });
    expect(await refusal(() => removeRole(viewer, admin().userId, platform))).toMatchObject({ code: 'FORBIDDEN' });
    expect(await refusal(() => removeRole(admin(), admin().userId, platform))).toMatchObject({ code: 'INVALID_STATE' });
  });
});
