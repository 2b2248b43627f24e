import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Viewer } from '@novacron/contracts';
import { ADMIN, login, LOGIN, makeTenant, makeUser, PASSWORD, startIdentity, type TestIdentity } from './identity.ts';
import { startMailServer, type TestMailServer } from './mail.ts';

let identity: TestIdentity;
let server: TestMailServer;
let admin: Viewer;
let acme: string;

beforeAll(async () => {
  server = await startMailServer();
  identity = await startIdentity({ mail: server.options });
  await identity.service.bootstrap();
  admin = (await login(identity)).viewer;
  acme = await makeTenant(identity, admin, 'acme');
});
afterAll(async () => {
  await identity?.close();
  await server?.stop();
});

let made = 0;
async function somebody(): Promise<{ viewer: Viewer; email: string; accessToken: string }> {
  const name = `some${(made += 1)}`;
  const email = `${name}@example.org`;
  await makeUser(identity, admin, name, acme, 'viewer');
  return { email, ...(await login(identity, { email, password: PASSWORD })) };
}

const update = (by: Viewer | null, input: object) => identity.ask(by, 'mutation ($input: UpdateProfileInput!) { updateProfile(input: $input) { name username } }', { input });
const request = (by: Viewer | null, newEmail: string, password: string = PASSWORD) =>
  identity.ask(by, 'mutation ($e: String!, $p: String!) { requestEmailChange(newEmail: $e, password: $p) }', { e: newEmail, p: password });
const confirm = (token: string) => identity.ask(null, 'mutation ($t: String!) { confirmEmailChange(token: $t) }', { t: token });
const remove = (by: Viewer | null, password: string) => identity.ask(by, 'mutation ($p: String!) { deleteAccount(password: $p) }', { p: password });
const mailsFor = async (recipient: string) => identity.sql<{ kind: string }>('SELECT kind FROM identity.mails WHERE recipient = $1 ORDER BY id', [recipient]);

describe('updateProfile', () => {
  it('changes a name, and what one signs in with', async () => {
    const { viewer, email } = await somebody();
    expect((await update(viewer, { name: ' Ada King ', username: 'Ada.King' })).data).toEqual({ updateProfile: { name: 'Ada King', username: 'ada.king' } });
    expect((await update(viewer, {})).data).toEqual({ updateProfile: { name: 'Ada King', username: 'ada.king' } });
    for (const name of ['ADA.king', email]) expect((await login(identity, { email: name, password: PASSWORD })).viewer.userId).toBe(viewer.userId);
    expect((await update(viewer, { username: null })).data['updateProfile'].username).toBeNull();
    expect((await identity.ask(null, LOGIN, { email: 'ada.king', password: PASSWORD })).error).toMatchObject({ code: 'UNAUTHENTICATED' });
  });

  it('gives a user name to one, also at once', async () => {
    const both = await Promise.all([somebody(), somebody()]);
    const answers = await Promise.all(both.map(({ viewer }) => update(viewer, { username: 'wanted' })));
    expect(answers.map(({ error }) => error?.code ?? 'done').toSorted()).toEqual(['ALREADY_EXISTS', 'done']);
    expect(answers.find(({ error }) => error !== null)?.error?.field).toBe('username');
  });

  it.each([
    [{ name: '' }, 'name'],
    [{ username: 'a b' }, 'username'],
    [{ username: 'me@example.org' }, 'username'],
  ])('refuses %j', async (input, field) => expect((await update(admin, input)).error).toMatchObject({ code: 'BAD_USER_INPUT', field }));

  it('is for whoever has signed in itself, and owes nothing', async () => {
    expect((await update(null, { name: 'x' })).error).toMatchObject({ code: 'UNAUTHENTICATED' });
    expect((await update({ ...admin, scopes: ['user:update'] }, { name: 'x' })).error).toMatchObject({ code: 'FORBIDDEN' });
    expect((await update({ ...admin, roles: [], owes: 'second_factor' }, { name: 'x' })).error).toMatchObject({ code: 'FORBIDDEN', message: expect.stringContaining('beginTotp') });
  });
});

describe('a change of address', () => {
  it('is made by the mail to the new one, and told to the old one', async () => {
    const { viewer, email } = await somebody();
    expect(await request(viewer, `New.${email}`)).toEqual({ data: { requestEmailChange: true }, error: null });
    const { token, text } = await server.arrived(`new.${email}`, /new e-mail address/);
    expect(text).not.toContain(email.slice(0, email.indexOf('@')));
    expect((await login(identity, { email, password: PASSWORD })).viewer.userId).toBe(viewer.userId);

    expect(await confirm(token!)).toEqual({ data: { confirmEmailChange: true }, error: null }); // every such mail has one
    expect((await server.arrived(email, /address of your account was changed/)).token).toBeNull();
    const { data } = await identity.ask(viewer, '{ me { email emailVerified } }');
    expect(data).toEqual({ me: { email: `new.${email}`, emailVerified: true } });
    expect((await login(identity, { email: `new.${email}`, password: PASSWORD })).viewer.userId).toBe(viewer.userId);
    expect((await identity.ask(null, LOGIN, { email, password: PASSWORD })).error).toMatchObject({ code: 'UNAUTHENTICATED' });
    expect((await confirm(token!)).error).toMatchObject({ code: 'BAD_USER_INPUT', field: 'token' });
  });

  it.each<[string, (viewer: Viewer, email: string) => Promise<{ error: unknown }>]>([
    ['was changed', (viewer) => identity.ask(viewer, 'mutation ($c: String!) { changePassword(currentPassword: $c, newPassword: "another fine password") }', { c: PASSWORD })],
    ['has to be changed', (viewer) => identity.ask(admin, 'mutation ($id: ID!) { forcePasswordReset(userId: $id) { id } }', { id: viewer.userId })],
    [
      'was reset',
      async (_viewer, email) => {
        await identity.ask(null, 'mutation ($e: String!) { requestPasswordReset(email: $e) }', { e: email });
        const { token } = await server.arrived(email, /new password/);
        return identity.ask(null, 'mutation ($t: String!) { resetPassword(token: $t, newPassword: "another fine password") { accessToken } }', { t: token });
      },
    ],
  ])('that was asked for before the password %s is not made any more', async (_what, happens) => {
    const { viewer, email } = await somebody();
    await request(viewer, `thief.${email}`);
    const { token } = await server.arrived(`thief.${email}`, /new e-mail address/);
    expect((await happens(viewer, email)).error).toBeNull();
    expect((await confirm(token!)).error).toMatchObject({ code: 'BAD_USER_INPUT', field: 'token' }); // every such mail has one
    expect(await identity.sql('SELECT email FROM identity.users WHERE id = $1', [viewer.userId])).toEqual([{ email }]);
  });

  it('ends the sessions, all but the one that asks', async () => {
    const { viewer, email, accessToken } = await somebody();
    const other = await login(identity, { email, password: PASSWORD });
    const confirmBy = async (by: Viewer | null, address: string) => {
      await request(viewer, address);
      const { token } = await server.arrived(address, /new e-mail address/);
      expect((await identity.ask(by, 'mutation ($t: String!) { confirmEmailChange(token: $t) }', { t: token })).error).toBeNull();
    };
    const { authenticate } = identity.service.authenticator;
    await confirmBy(viewer, `second.${email}`);
    expect((await authenticate(accessToken, null)).viewer.userId).toBe(viewer.userId);
    await expect(authenticate(other.accessToken, null)).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
    await confirmBy(admin, `third.${email}`);
    await expect(authenticate(accessToken, null)).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
    expect((await authenticate((await login(identity)).accessToken, null)).viewer.userId).toBe(admin.userId);
  });

  it('does not tell whose an address is but to its owner', async () => {
    const { viewer } = await somebody();
    const { email: taken } = await somebody();
    expect(await request(viewer, taken)).toEqual({ data: { requestEmailChange: true }, error: null });
    expect((await server.arrived(taken, /have an account/)).token).toBeNull();
    expect((await mailsFor(taken)).map(({ kind }) => kind)).toEqual(['already_registered']);
  });

  it('goes to one of two who want the same, and to nobody who comes too late', async () => {
    const [one, two] = [await somebody(), await somebody()];
    await request(one.viewer, 'same@example.org');
    const first = await server.arrived('same@example.org', /new e-mail address/);
    await request(two.viewer, 'same@example.org');
    const second = await server.arrived('same@example.org', /new e-mail address/, 1);
    const answers = await Promise.all([confirm(first.token!), confirm(second.token!)]);
    expect(answers.map(({ error }) => error?.code ?? 'done').toSorted()).toEqual(['INVALID_STATE', 'done']);
  });

  it('asked for again makes the first mail void; a day makes each', async () => {
    const { viewer } = await somebody();
    await request(viewer, 'first@example.org');
    const first = await server.arrived('first@example.org', /new e-mail address/);
    await request(viewer, 'second@example.org');
    const second = await server.arrived('second@example.org', /new e-mail address/);
    expect((await confirm(first.token!)).error).toMatchObject({ code: 'BAD_USER_INPUT', field: 'token' });
    identity.clock.advance(86_400_000);
    expect((await confirm(second.token!)).error).toMatchObject({ code: 'BAD_USER_INPUT', field: 'token' });
    admin = (await login(identity)).viewer;
  });

  it('is asked for five times in a quarter of an hour, and no more', async () => {
    const { viewer } = await somebody();
    const ask = async (number: number) => (await request(viewer, `many${number}@example.org`)).error?.code ?? 'done';
    for (let number = 0; number < 5; number += 1) expect(await ask(number)).toBe('done');
    expect(await ask(5)).toBe('RATE_LIMITED');
    // nor is a password hashed for more
    expect((await request(viewer, 'many5@example.org', 'a wrong password')).error).toMatchObject({ code: 'RATE_LIMITED' });
    identity.clock.advance(15 * 60_000);
    expect(await ask(6)).toBe('done');
  });

  it.each([
    ['that nobody has', 'bombed@example.org', 'change_email'],
    ['that somebody has', ADMIN.email, 'already_registered'],
  ])('mails no address %s more than five times in an hour, whoever asks, and answers the same', async (_whose, victim, kind) => {
    const askers = await Promise.all(Array.from({ length: 3 }, somebody));
    for (const { viewer } of askers) expect((await request(viewer, victim)).error).toBeNull();
    await server.arrived(victim, kind === 'change_email' ? /new e-mail address/ : /have an account/, 2);
    for (const { viewer } of askers.slice(1)) expect((await remove(viewer, PASSWORD)).error).toBeNull();
    const answers = await Promise.all(Array.from({ length: 4 }, () => request(askers[0]!.viewer, victim))); // three were made
    expect(answers).toEqual(Array.from({ length: 4 }, () => ({ data: { requestEmailChange: true }, error: null })));
    // those of who deleted its account are counted, and name nobody
    const left = kind === 'change_email' ? 3 : 5;
    expect((await mailsFor(victim)).filter((mail) => mail.kind === kind)).toHaveLength(left);
    expect(await identity.sql("SELECT count(*)::int AS count FROM identity.mails WHERE kind = $1 AND recipient ~ '^sha256:[0-9a-f]{64}$' AND octet_length(content) = 0 AND user_id IS NULL", [kind])).toEqual([{ count: 5 - left }]);
    identity.clock.advance(3_600_000);
    const { viewer } = await somebody();
    expect((await request(viewer, victim)).error).toBeNull();
    expect((await mailsFor(victim)).filter((mail) => mail.kind === kind)).toHaveLength(left + 1);
    admin = (await login(identity)).viewer;
  });

  it('writes nothing to an address that nobody has shown to be its own', async () => {
    const { data } = await identity.ask(null, 'mutation { register(input: { email: "someoneelse@example.org", password: "a stranger chose this", name: "Stranger" }) { user { id } } }');
    const userId = data['register'].user.id;
    const { viewer } = await login(identity, { email: 'someoneelse@example.org', password: 'a stranger chose this' });
    await request(viewer, 'own@example.org', 'a stranger chose this');
    const { token } = await server.arrived('own@example.org', /new e-mail address/);
    expect((await confirm(token!)).error).toBeNull(); // every such mail has one
    expect((await mailsFor('someoneelse@example.org')).map(({ kind }) => kind)).toEqual(['verify_email']);
    expect((await identity.ask(admin, 'query ($id: ID!) { user(id: $id) { email emailVerified } }', { id: userId })).data).toEqual({ user: { email: 'own@example.org', emailVerified: true } });
  });

  it('needs the password, and another address', async () => {
    const { viewer, email } = await somebody();
    expect((await request(viewer, 'else@example.org', 'a wrong password')).error).toMatchObject({ code: 'BAD_USER_INPUT', field: 'password' });
    expect((await request(viewer, 'no address')).error).toMatchObject({ code: 'BAD_USER_INPUT', field: 'newEmail' });
    expect((await request(viewer, email.toUpperCase())).error).toMatchObject({ code: 'BAD_USER_INPUT', field: 'newEmail' });
    expect((await request(null, 'else@example.org')).error).toMatchObject({ code: 'UNAUTHENTICATED' });
    expect(await mailsFor('else@example.org')).toEqual([]);
  });
});

describe('deleteAccount', () => {
  it('is no way to guess a password', async () => {
    const { viewer } = await somebody();
    const codes: string[] = [];
    while (codes.at(-1) !== 'RATE_LIMITED' && codes.length < 50) {
      const { error } = codes.length % 2 === 0 ? await remove(viewer, `guess ${codes.length}`) : await request(viewer, 'else@example.org', `guess ${codes.length}`);
      codes.push(error?.code ?? 'done');
    }
    expect(new Set(codes)).toEqual(new Set(['BAD_USER_INPUT', 'RATE_LIMITED']));
    expect((await remove(viewer, PASSWORD)).error).toMatchObject({ code: 'RATE_LIMITED' });
  });

  it('leaves nothing of whoever asks for it with the password', async () => {
    const { viewer, email, accessToken } = await somebody();
    const deleted = async () => (await identity.ask(admin, '{ users(filter: { state: DELETED }) { totalCount } }')).data['users'].totalCount;
    const before = await deleted();
    expect((await remove(viewer, 'a wrong password')).error).toMatchObject({ code: 'BAD_USER_INPUT', field: 'password' });
    expect(await remove(viewer, PASSWORD)).toEqual({ data: { deleteAccount: true }, error: null });
    await expect(identity.service.authenticator.authenticate(accessToken, null)).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
    expect((await identity.ask(null, LOGIN, { email, password: PASSWORD })).error).toMatchObject({ code: 'UNAUTHENTICATED' });
    const { data } = await identity.ask(admin, 'query ($id: ID!) { user(id: $id) { name state } users(filter: { search: "deleted.invalid" }) { totalCount } }', { id: viewer.userId });
    expect(data).toEqual({ user: { name: 'Deleted user', state: 'DELETED' }, users: { totalCount: 0 } });
    expect(await deleted()).toBe(before + 1);
  });

  it('is refused to the last platform administrator, to programs and to nobody', async () => {
    expect((await remove(admin, ADMIN.password)).error).toMatchObject({ code: 'INVALID_STATE' });
    expect((await remove({ ...admin, scopes: ['user:delete'] }, ADMIN.password)).error).toMatchObject({ code: 'FORBIDDEN' });
    expect((await remove(null, ADMIN.password)).error).toMatchObject({ code: 'UNAUTHENTICATED' });
  });
});
