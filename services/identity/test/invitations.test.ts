import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Viewer } from '@novacron/contracts';
import { newId } from '@novacron/core';
import { login, LOGIN, makeTenant, member, PASSWORD, startIdentity, type TestIdentity } from './identity.ts';
import { startMailServer, type TestMailServer } from './mail.ts';

let identity: TestIdentity;
let server: TestMailServer;
let acme: string;
let globex: string;
const people: Record<string, Viewer | null> = { nobody: null };

beforeAll(async () => {
  server = await startMailServer();
  identity = await startIdentity({ mail: server.options });
  await identity.service.bootstrap();
  const admin = (await login(identity)).viewer;
  people['admin'] = admin;
  [acme, globex] = [await makeTenant(identity, admin, 'acme'), await makeTenant(identity, admin, 'globex')];
  people['boss'] = await member(identity, admin, 'boss', acme, 'tenant_admin');
  people['guest'] = await member(identity, admin, 'guest', acme, 'viewer');
  people['rival'] = await member(identity, admin, 'rival', globex, 'tenant_admin');
});
afterAll(async () => {
  await identity?.close();
  await server?.stop();
});

const as = (name: string): Viewer | null => people[name] ?? null;

const SEEN = 'id email name state emailVerified roles { role tenant { id } } permissions';
const invite = (by: Viewer | null, input: object) =>
  identity.ask(by, `mutation ($input: InviteUserInput!) { inviteUser(input: $input) { ${SEEN} } }`, { input: { role: 'operator', tenantId: acme, ...input } });
const accept = (input: object) =>
  identity.ask(null, 'mutation ($token: String!, $password: String!, $name: String) { acceptInvitation(token: $token, password: $password, name: $name) { accessToken secondFactorRequired user { id name email state emailVerified roles { role } } } }', {
    password: PASSWORD,
    ...input,
  });
const join = (by: Viewer | null, token: string) => identity.ask(by, `mutation ($token: String!) { joinTenant(token: $token) { ${SEEN} } }`, { token });
const invited = async (by: string, input: { email: string; [other: string]: unknown }): Promise<{ user: { id: string }; token: string }> => {
  const before = server.mails.filter(({ recipients, subject }) => recipients.includes(input.email) && subject.includes('invited')).length;
  const { data, error } = await invite(as(by), input);
  expect(error).toBeNull();
  const { token } = await server.arrived(input.email, /invited/, before);
  return { user: data['inviteUser'], token: token! }; // every invitation has one
};
const findUsers = async (by: string, email: string): Promise<{ id: string; state: string }[]> => {
  const { data } = await identity.ask(as(by), 'query ($email: String!) { users(filter: { search: $email }) { edges { node { id state } } } }', { email });
  return data['users'].edges.map(({ node }: { node: object }) => node);
};
const counts = () => identity.sql('SELECT (SELECT count(*) FROM identity.users) AS users, (SELECT count(*) FROM identity.role_assignments) AS roles, (SELECT count(*) FROM identity.mails) AS mails, (SELECT count(*) FROM operations.outbox) AS events');
async function refusal(run: () => Promise<{ error: unknown }>): Promise<unknown> {
  const before = await counts();
  const { error } = await run();
  expect(await counts()).toEqual(before);
  return error;
}

describe('an invitation', () => {
  it('becomes an account by its mail', async () => {
    const { user, token } = await invited('boss', { email: 'new@example.org', name: 'New One' });
    expect(user).toMatchObject({ email: 'new@example.org', name: 'New One', state: 'INVITED', emailVerified: false, roles: [{ role: 'operator', tenant: { id: acme } }] });
    const { text } = await server.arrived('new@example.org', /invited/);
    expect(text).toContain('acme');
    expect(text).toContain('boss');
    const { data, error } = await accept({ token, name: 'Newest One' });
    expect(error).toBeNull();
    expect(data['acceptInvitation']).toMatchObject({ secondFactorRequired: false, user: { id: user.id, name: 'Newest One', email: 'new@example.org', state: 'ACTIVE', emailVerified: true, roles: [{ role: 'operator' }] } });
    const { viewer } = await identity.service.authenticator.authenticate(data['acceptInvitation'].accessToken, null);
    expect(viewer).toMatchObject({ userId: user.id, roles: [{ role: 'operator', tenantId: acme }] });
    expect((await login(identity, { email: 'NEW@example.org', password: PASSWORD })).viewer.userId).toBe(user.id);
    expect((await accept({ token })).error).toMatchObject({ code: 'BAD_USER_INPUT', field: 'token' });
  });

  it('is no account before', async () => {
    const { user } = await invited('boss', { email: 'waiting@example.org' });
    expect(user).toMatchObject({ name: 'waiting' });
    const wrong = (await identity.ask(null, LOGIN, { email: 'nobody@example.org', password: PASSWORD })).error;
    expect((await identity.ask(null, LOGIN, { email: 'waiting@example.org', password: PASSWORD })).error).toEqual(wrong);
    expect(await findUsers('boss', 'waiting@example.org')).toEqual([{ id: user.id, state: 'INVITED' }]);
    expect((await invite(as('boss'), { email: 'boss@example.org' })).error).toMatchObject({ code: 'ALREADY_EXISTS', field: 'email' });
  });

  it('is good once, under any race', async () => {
    const { token } = await invited('boss', { email: 'race@example.org' });
    const answers = await Promise.all(Array.from({ length: 4 }, () => accept({ token })));
    const codes = answers.map(({ error }) => error?.code ?? 'done');
    expect(codes.filter((code) => code === 'done')).toHaveLength(1);
    expect(codes.filter((code) => !['done', 'BAD_USER_INPUT', 'INVALID_STATE'].includes(code))).toEqual([]);
    expect(await findUsers('boss', 'race@example.org')).toHaveLength(1);
  });

  it('ends after a week', async () => {
    const { token } = await invited('boss', { email: 'late@example.org' });
    identity.clock.advance(7 * 86_400_000);
    expect((await accept({ token })).error).toMatchObject({ code: 'BAD_USER_INPUT', field: 'token' });
    for (const name of ['admin', 'boss', 'guest', 'rival']) {
      const { email } = (await identity.sql('SELECT email FROM identity.users WHERE id = $1', [as(name)?.userId]))[0]!; // they are there
      people[name] = (await login(identity, { email, password: name === 'admin' ? 'correct horse battery' : PASSWORD })).viewer;
    }
  });

  it('is sent again in place of the one before, also at once', async () => {
    const first = await invited('boss', { email: 'again@example.org', role: 'viewer' });
    const second = await invited('boss', { email: 'Again@example.org'.toLowerCase(), role: 'operator', name: 'Again' });
    expect(second.user).toMatchObject({ id: first.user.id, name: 'Again', roles: [{ role: 'operator' }] });
    expect((await accept({ token: first.token })).error).toMatchObject({ code: 'BAD_USER_INPUT', field: 'token' });
    expect((await accept({ token: second.token })).error).toBeNull();

    await Promise.all(Array.from({ length: 4 }, () => invite(as('boss'), { email: 'atonce@example.org' })));
    expect(await findUsers('boss', 'atonce@example.org')).toHaveLength(1);
  });

  it('can be taken back', async () => {
    const { user, token } = await invited('boss', { email: 'back@example.org' });
    expect((await identity.ask(as('boss'), 'mutation ($u: ID!, $t: ID!) { removeRole(userId: $u, tenantId: $t) }', { u: user.id, t: acme })).error).toBeNull();
    expect(await findUsers('admin', 'back@example.org')).toEqual([]);
    expect((await accept({ token })).error).toMatchObject({ code: 'BAD_USER_INPUT', field: 'token' });
  });

  it('is not accepted by who was kept out meanwhile', async () => {
    const { user, token } = await invited('boss', { email: 'kept@example.org' });
    expect((await identity.ask(as('boss'), 'mutation ($id: ID!) { deactivateUser(id: $id) { state } }', { id: user.id })).error).toBeNull();
    expect((await accept({ token })).error).toMatchObject({ code: 'INVALID_STATE' });
    expect((await invite(as('boss'), { email: 'kept@example.org' })).error).toMatchObject({ code: 'INVALID_STATE', field: 'email' });

    const known = await invited('boss', { email: 'rival@example.org' });
    expect((await identity.ask(as('boss'), 'mutation ($id: ID!) { deactivateUser(id: $id) { state } }', { id: known.user.id })).error).toBeNull();
    expect(await refusal(() => join(as('rival'), known.token))).toMatchObject({ code: 'INVALID_STATE', field: 'token' });
    expect((await identity.ask(as('boss'), 'mutation ($u: ID!, $t: ID!) { removeRole(userId: $u, tenantId: $t) }', { u: known.user.id, t: acme })).error).toBeNull();
  });

  it.each([
    [{ password: 'short' }, 'password'],
    [{ password: 'password1234' }, 'password'],
    [{ name: ' ' }, 'name'],
    [{ token: 'x' }, 'token'],
    [{ token: '' }, 'token'],
  ])('is not accepted with %j', async (input, field) => {
    const { token } = await invited('boss', { email: 'picky@example.org' });
    expect((await accept({ token, ...input })).error).toMatchObject({ code: 'BAD_USER_INPUT', field });
  });
});

describe('whoever has an account', () => {
  it('is not told of to whom invites it, and joins with it', async () => {
    const { user: fresh } = await invited('boss', { email: 'unheardof@example.org' });
    const { user, token } = await invited('boss', { email: 'rival@example.org' });
    const plain = (shown: object) => JSON.stringify({ ...shown, id: null }).replaceAll('unheardof', 'rival');
    expect(plain(user)).toBe(plain(fresh));
    expect(user.id).not.toBe(as('rival')?.userId);
    expect((await accept({ token })).error).toMatchObject({ code: 'INVALID_STATE', message: expect.stringContaining('joinTenant') });
    expect(await refusal(() => join(null, token))).toMatchObject({ code: 'UNAUTHENTICATED' });
    expect(await refusal(() => join(as('guest'), token))).toMatchObject({ code: 'FORBIDDEN', field: 'token' });

    const { data, error } = await join(as('rival'), token);
    expect(error).toBeNull();
    expect(data['joinTenant']).toMatchObject({ id: as('rival')?.userId, emailVerified: true });
    expect((await identity.events()).at(-1)).toMatchObject({ type: 'user.access', entityId: as('rival')?.userId });
    people['rival'] = (await login(identity, { email: 'rival@example.org', password: PASSWORD })).viewer;
    expect(people['rival'].roles).toHaveLength(2);
    expect(await findUsers('boss', 'rival@example.org')).toEqual([{ id: as('rival')?.userId, state: 'ACTIVE' }]);
    expect(await refusal(() => join(as('rival'), token))).toMatchObject({ code: 'BAD_USER_INPUT', field: 'token' });
    expect((await invite(as('boss'), { email: 'rival@example.org' })).error).toMatchObject({ code: 'ALREADY_EXISTS', field: 'email' });
  });

  it('of two tenants at once joins both', async () => {
    const acmes = await invited('boss', { email: 'two@example.org', role: 'viewer' });
    const { data } = await invite(as('rival'), { email: 'two@example.org', role: 'operator', tenantId: globex });
    expect(data['inviteUser'].id).not.toBe(acmes.user.id);
    const globexs = await server.arrived('two@example.org', /invited/, 1);
    expect((await accept({ token: acmes.token })).error).toBeNull();
    const { viewer } = await login(identity, { email: 'two@example.org', password: PASSWORD });
    expect((await accept({ token: globexs.token })).error).toMatchObject({ code: 'INVALID_STATE' });
    expect((await join(viewer, globexs.token!)).error).toBeNull();
    expect((await login(identity, { email: 'two@example.org', password: PASSWORD })).viewer.roles.toSorted((a, b) => a.role.localeCompare(b.role))).toEqual([
      { role: 'operator', tenantId: globex },
      { role: 'viewer', tenantId: acme },
    ]);
  });

  it('and waits for its address gets it by joining', async () => {
    const { data } = await identity.ask(null, 'mutation { register(input: { email: "joe@example.org", password: "chosen by joe himself", name: "Joe" }) { user { id } } }');
    const { viewer } = await login(identity, { email: 'joe@example.org', password: 'chosen by joe himself' });
    const { token } = await invited('boss', { email: 'joe@example.org', role: 'viewer' });
    expect((await join(viewer, token)).data['joinTenant']).toMatchObject({ id: data['register'].user.id, name: 'Joe', emailVerified: true, roles: [{ role: 'viewer', tenant: { id: acme } }] });
    expect(await findUsers('admin', 'joe@example.org')).toHaveLength(1);
  });

  it('and never showed the address to be its own loses it to who reads mail there', async () => {
    const REGISTER = 'mutation { register(input: { email: "mine@example.org", password: "a stranger chose this", name: "Stranger" }) { accessToken user { id } } }';
    const { data } = await identity.ask(null, REGISTER);
    const { token, user } = await invited('boss', { email: 'mine@example.org' });
    expect((await accept({ token })).error).toBeNull();
    expect((await login(identity, { email: 'mine@example.org', password: PASSWORD })).viewer.userId).toBe(user.id);
    expect((await identity.ask(null, LOGIN, { email: 'mine@example.org', password: 'a stranger chose this' })).error).toMatchObject({ code: 'UNAUTHENTICATED' });
    await expect(identity.service.authenticator.authenticate(data['register'].accessToken, null)).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
  });
});

describe('inviteUser', () => {
  it.each([
    ['nobody', 'UNAUTHENTICATED'],
    ['guest', 'FORBIDDEN'],
  ])('is refused to %s', async (by, code) => {
    expect(await refusal(() => invite(as(by), { email: 'refused@example.org' }))).toMatchObject({ code });
  });

  it.each([
    ['boss', { role: 'platform_admin' }, 'FORBIDDEN', 'role'],
    ['boss', { tenantId: newId<string>() }, 'NOT_FOUND', undefined],
    ['admin', { tenantId: newId<string>() }, 'NOT_FOUND', 'tenantId'],
    ['boss', { email: 'no address' }, 'BAD_USER_INPUT', 'email'],
    ['boss', { name: ' ' }, 'BAD_USER_INPUT', 'name'],
    ['boss', { role: 'root' }, 'BAD_USER_INPUT', 'role'],
  ])('refuses %s %j', async (by, input, code, field) => {
    expect(await refusal(() => invite(as(by), { email: 'refused@example.org', ...input }))).toMatchObject(field === undefined ? { code } : { code, field });
  });

  it('sends five mails to an address in a quarter of an hour, and no more', async () => {
    const again = () => invite(as('boss'), { email: 'insistent@example.org' });
    for (let times = 0; times < 5; times += 1) expect((await again()).error).toBeNull();
    expect(await refusal(again)).toMatchObject({ code: 'RATE_LIMITED' });
    identity.clock.advance(15 * 60_000);
    expect((await again()).error).toBeNull();
  });

  it('sends no more to one that was taken back and asked for again', async () => {
    for (let times = 0; times < 7; times += 1) {
      const { data, error } = await invite(as('boss'), { email: 'bothered@example.org' });
      expect(error).toBeNull();
      await identity.ask(as('boss'), 'mutation ($u: ID!, $t: ID!) { removeRole(userId: $u, tenantId: $t) }', { u: data['inviteUser'].id, t: acme });
    }
    expect(await identity.sql("SELECT FROM identity.mails WHERE recipient = 'bothered@example.org'")).toHaveLength(5);
  });

  it('does not take a role back that only a platform administrator gives', async () => {
    await invited('admin', { email: 'high@example.org', role: 'platform_admin' });
    expect(await refusal(() => invite(as('boss'), { email: 'high@example.org', role: 'viewer' }))).toMatchObject({ code: 'FORBIDDEN' });
  });
});
