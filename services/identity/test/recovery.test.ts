import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Viewer } from '@novacron/contracts';
import { ADMIN, LOGIN, login, makeUser, member, PASSWORD, startIdentity, type TestIdentity, type Tokens } from './identity.ts';
import { startMailServer, type TestMailServer } from './mail.ts';
import { EVERYTHING, NOTHING, plant, planted } from './planted.ts';

let mail: TestMailServer;
let identity: TestIdentity;
let admin: Viewer;
let tenant: string;
beforeAll(async () => {
  mail = await startMailServer();
  identity = await startIdentity({ mail: mail.options });
  await identity.service.bootstrap();
  admin = (await login(identity)).viewer;
  tenant = admin.roles[0]!.tenantId; // bootstrap gave it
});
afterAll(async () => {
  await identity?.close();
  await mail?.stop();
});

const NEW = 'quite another password';
let accounts = 0;
const request = (email: string) => identity.ask(null, 'mutation ($email: String!) { requestPasswordReset(email: $email) }', { email });
const RESET = 'mutation ($token: String!, $newPassword: String!) { resetPassword(token: $token, newPassword: $newPassword) { accessToken refreshToken secondFactorRequired user { id email emailVerified } } }';
const reset = (token: string | null, newPassword = NEW) => identity.ask(null, RESET, { token, newPassword });
const signIn = (email: string, password: string) => identity.ask<{ login: Tokens & { user: { id: string } } }>(null, LOGIN, { email, password });
const authenticate = (token: string) => identity.service.authenticator.authenticate(token, null);
const mailsTo = async (email: string) => (await identity.sql('SELECT kind FROM identity.mails WHERE recipient = $1 ORDER BY created_at, id', [email])).map(({ kind }) => kind);
const tokenFor = async (email: string, after = 0) => {
  expect((await request(email)).error).toBeNull();
  return (await mail.arrived(email, /password/i, after)).token;
};

describe('requestPasswordReset', () => {
  it('answers the same for whatever address, and mails to who has an account', async () => {
    await makeUser(identity, admin, 'known', tenant, 'viewer');
    for (const email of ['Known@example.org', 'unknown@example.org', 'no address', '', '\u0000']) {
      expect(await request(email)).toEqual({ data: { requestPasswordReset: true }, error: null });
    }
    expect(await mailsTo('known@example.org')).toEqual(['reset_password']);
    expect(await identity.sql("SELECT recipient FROM identity.mails WHERE kind = 'reset_password'")).toEqual([{ recipient: 'known@example.org' }]);
    expect((await mail.arrived('known@example.org')).token).toMatch(/^[\w-]{43}$/);
  });

  it('mails to nobody whose account is deactivated', async () => {
    await makeUser(identity, admin, 'gone', tenant, 'viewer');
    await identity.sql("UPDATE identity.users SET deactivated_at = now() WHERE email = 'gone@example.org'");
    expect((await request('gone@example.org')).error).toBeNull();
    expect(await mailsTo('gone@example.org')).toEqual([]);
  });

  it('fills no mailbox', async () => {
    await makeUser(identity, admin, 'flooded', tenant, 'viewer');
    for (let count = 0; count < 7; count += 1) expect((await request('flooded@example.org')).error).toBeNull();
    expect(await mailsTo('flooded@example.org')).toHaveLength(5);
    identity.clock.advance(15 * 60_000);
    await request('flooded@example.org');
    expect(await mailsTo('flooded@example.org')).toHaveLength(6);
  });
});

describe('resetPassword', () => {
  it('chooses another password, ends every session, signs in and says so by mail', async () => {
    const before = await member(identity, admin, 'forgetful', tenant, 'operator');
    const { accessToken, refreshToken } = (await signIn('forgetful@example.org', PASSWORD)).data.login;
    const { data, error } = await reset(await tokenFor('forgetful@example.org'));
    expect(error).toBeNull();
    expect(data['resetPassword']).toMatchObject({ secondFactorRequired: false, user: { id: before.userId, emailVerified: true } });
    expect((await authenticate(data['resetPassword'].accessToken)).viewer.roles).toMatchObject([{ role: 'operator' }]);
    await expect(authenticate(accessToken)).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
    expect((await identity.ask(null, 'mutation ($t: String!) { refreshSession(refreshToken: $t) { accessToken } }', { t: refreshToken })).error).toMatchObject({ code: 'UNAUTHENTICATED' });
    expect((await signIn('forgetful@example.org', PASSWORD)).error).toMatchObject({ code: 'UNAUTHENTICATED' });
    expect((await signIn('forgetful@example.org', NEW)).error).toBeNull();
    expect(await mailsTo('forgetful@example.org')).toEqual(['reset_password', 'password_changed']);
    const revoked = (await identity.events()).filter(({ type, body }) => type === 'session.revoked' && JSON.stringify(body).includes(before.userId));
    expect(revoked).toHaveLength(2);
  });

  it('spends a token once, also at once, and not for a password that is none', async () => {
    await makeUser(identity, admin, 'once', tenant, 'viewer');
    const token = await tokenFor('once@example.org');
    for (const bad of ['short', 'password1', 'once@example.org', '']) expect((await reset(token, bad)).error).toMatchObject({ code: 'BAD_USER_INPUT', field: 'newPassword' });
    const answers = await Promise.all([reset(token), reset(token), reset(token)]);
    expect(answers.map(({ error }) => error?.code ?? 'done').toSorted()).toEqual(['BAD_USER_INPUT', 'BAD_USER_INPUT', 'done']);
    expect((await reset(token)).error).toMatchObject({ code: 'BAD_USER_INPUT', field: 'token' });
  });

  it('takes the last token only, for an hour, and none after the password was changed', async () => {
    await makeUser(identity, admin, 'patient', tenant, 'viewer');
    const first = await tokenFor('patient@example.org');
    const second = await tokenFor('patient@example.org', 1);
    expect((await reset(first)).error).toMatchObject({ code: 'BAD_USER_INPUT', field: 'token' });
    identity.clock.advance(3_600_000);
    expect((await reset(second)).error).toMatchObject({ code: 'BAD_USER_INPUT', field: 'token' });
    const third = await tokenFor('patient@example.org', 2);
    const { viewer } = await authenticate((await signIn('patient@example.org', PASSWORD)).data.login.accessToken);
    await identity.ask(viewer, 'mutation ($c: String!, $n: String!) { changePassword(currentPassword: $c, newPassword: $n) }', { c: PASSWORD, n: NEW });
    expect((await reset(third)).error).toMatchObject({ code: 'BAD_USER_INPUT', field: 'token' });
  });

  it('takes no token that was mailed for something else', async () => {
    await identity.ask(null, 'mutation ($e: String!, $p: String!) { register(input: { email: $e, password: $p, name: "n" }) { accessToken } }', { e: 'other@example.org', p: PASSWORD });
    const { token } = await mail.arrived('other@example.org');
    expect((await reset(token)).error).toMatchObject({ code: 'BAD_USER_INPUT', field: 'token' });
  });

  it("gives a stranger's account to who reads its mail, and not its password", async () => {
    const stranger = await identity.ask(null, 'mutation ($e: String!, $p: String!) { register(input: { email: $e, password: $p, name: "n" }) { accessToken } }', { e: 'mine@example.org', p: PASSWORD });
    const { data } = await reset(await tokenFor('mine@example.org'));
    expect(data['resetPassword'].user.emailVerified).toBe(true);
    await expect(authenticate(stranger.data['register'].accessToken)).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
    expect((await signIn('mine@example.org', PASSWORD)).error).toMatchObject({ code: 'UNAUTHENTICATED' });
  });

  it.each([
    ['who registered', (email: string) => identity.ask(null, 'mutation ($e: String!, $p: String!) { register(input: { email: $e, password: $p, name: "n" }) { accessToken } }', { e: email, p: PASSWORD })],
    ['whom an administrator made', (email: string) => makeUser(identity, admin, email.slice(0, email.indexOf('@')), tenant, 'viewer')],
  ])('leaves nothing in the account of %s of what was there before its address was shown', async (_who, make) => {
    const email = `planted-${(accounts += 1)}@example.org`;
    await make(email);
    const { accessToken } = (await signIn(email, PASSWORD)).data.login;
    const { viewer } = await authenticate(accessToken);
    await plant(identity, viewer);
    expect(await planted(identity, viewer.userId)).toEqual(EVERYTHING);
    const { data, error } = await reset(await tokenFor(email));
    expect([error, data['resetPassword']]).toMatchObject([null, { secondFactorRequired: false, user: { id: viewer.userId, emailVerified: true } }]);
    expect(await planted(identity, viewer.userId)).toEqual(NOTHING);
    await expect(authenticate(accessToken)).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
    expect((await authenticate(data['resetPassword'].accessToken)).viewer.userId).toBe(viewer.userId);
    expect(await mailsTo(email)).toContain('second_factor_changed');
  });

  it('revokes API tokens, and leaves the keys and the second factor of whoever has verified its address before', async () => {
    const viewer = await member(identity, admin, 'proven', tenant, 'viewer');
    await plant(identity, viewer);
    await identity.sql('UPDATE identity.users SET email_verified = true WHERE id = $1', [viewer.userId]);
    const { data } = await reset(await tokenFor('proven@example.org'));
    expect(data['resetPassword']).toMatchObject({ accessToken: null, secondFactorRequired: true });
    expect(await planted(identity, viewer.userId)).toEqual({ ...EVERYTHING, devices: 0, links: 0, tokens: 0 });
  });

  it('does not stand in for a second factor', async () => {
    const id = await makeUser(identity, admin, 'guarded', tenant, 'viewer');
    await identity.sql('UPDATE identity.users SET email_verified = true WHERE id = $1', [id]);
    await identity.sql("INSERT INTO identity.totp (user_id, secret, key_id, created_at, confirmed_at) VALUES ($1, '\\x00', 'none', now(), now())", [id]);
    const { data, error } = await reset(await tokenFor('guarded@example.org'));
    expect([error, data['resetPassword']]).toMatchObject([null, { accessToken: null, refreshToken: null, secondFactorRequired: true, user: null }]);
  });

  it('lets in who owes a code, at the device that followed the link, while strangers guess', async () => {
    const viewer = await member(identity, admin, 'besieged', tenant, 'viewer');
    await identity.sql('UPDATE identity.users SET email_verified = true WHERE id = $1', [viewer.userId]);
    await identity.sql("INSERT INTO identity.totp (user_id, secret, key_id, created_at, confirmed_at) VALUES ($1, '\\x00', 'none', now(), now())", [viewer.userId]);
    expect((await reset(await tokenFor('besieged@example.org'))).data['resetPassword']).toMatchObject({ secondFactorRequired: true });
    const guess = (password: string) => identity.ask(null, LOGIN, { email: 'besieged@example.org', password }, { address: '198.51.100.7' });
    for (let count = 0; count < 6; count += 1) await guess(`guess ${count}`);
    expect((await guess(NEW)).error).toMatchObject({ code: 'RATE_LIMITED' });
    expect(await signIn('besieged@example.org', NEW)).toMatchObject({ error: null, data: { login: { secondFactorRequired: true } } });
  });

  it('frees who owed a new password', async () => {
    const id = await makeUser(identity, admin, 'owing', tenant, 'viewer');
    await identity.sql('UPDATE identity.users SET must_change_password = true WHERE id = $1', [id]);
    expect((await authenticate((await signIn('owing@example.org', PASSWORD)).data.login.accessToken)).viewer).toMatchObject({ roles: [], owes: 'new_password' });
    const { data } = await reset(await tokenFor('owing@example.org'));
    expect((await authenticate(data['resetPassword'].accessToken)).viewer.roles).toHaveLength(1);
  });
});

describe('changePassword', () => {
  const CHANGE = 'mutation ($currentPassword: String!, $newPassword: String!) { changePassword(currentPassword: $currentPassword, newPassword: $newPassword) }';
  const change = (viewer: Viewer | null, currentPassword: string, newPassword = NEW) => identity.ask(viewer, CHANGE, { currentPassword, newPassword });

  it('ends the other sessions and no other, and says so by mail', async () => {
    const viewer = await member(identity, admin, 'tidy', tenant, 'viewer');
    const other = (await signIn('tidy@example.org', PASSWORD)).data.login;
    expect(await change(viewer, PASSWORD)).toEqual({ data: { changePassword: true }, error: null });
    await expect(authenticate(other.accessToken)).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
    expect((await identity.sql('SELECT id FROM identity.sessions WHERE user_id = $1 AND revoked_at IS NULL', [viewer.userId])).map(({ id }) => id)).toEqual([viewer.sessionId]);
    expect((await signIn('tidy@example.org', PASSWORD)).error).toMatchObject({ code: 'UNAUTHENTICATED' });
    expect((await signIn('tidy@example.org', NEW)).error).toBeNull();
    expect((await mail.arrived('tidy@example.org')).token).toBeNull();
  });

  it('frees who owed a new one, without another sign-in', async () => {
    const id = await makeUser(identity, admin, 'fresh', tenant, 'operator');
    await identity.sql('UPDATE identity.users SET must_change_password = true WHERE id = $1', [id]);
    const { accessToken } = (await signIn('fresh@example.org', PASSWORD)).data.login;
    const { viewer } = await authenticate(accessToken);
    expect((await change(viewer, PASSWORD)).error).toBeNull();
    expect((await authenticate(accessToken)).viewer).toMatchObject({ roles: [{ role: 'operator' }] });
    expect((await identity.events()).filter(({ type, entityId }) => type === 'user.access' && entityId === id)).toHaveLength(2);
  });

  it.each([
    ['currentPassword', 'a wrong password', NEW],
    ['newPassword', ADMIN.password, 'short'],
    ['newPassword', ADMIN.password, 'Password123!'],
    ['newPassword', ADMIN.password, ADMIN.password],
    ['newPassword', 'hashed for nothing', 'hashed for nothing'],
    ['newPassword', ADMIN.password, 'administrator'],
  ])('refuses a bad %s', async (field, current, next) => {
    expect((await change(admin, current, next)).error).toMatchObject({ code: 'BAD_USER_INPUT', field });
    expect((await signIn(ADMIN.email, ADMIN.password)).error).toBeNull();
  });

  it('lets one of two at once win', async () => {
    const viewer = await member(identity, admin, 'hasty', tenant, 'viewer');
    const answers = await Promise.all([change(viewer, PASSWORD, `${NEW} 1`), change(viewer, PASSWORD, `${NEW} 2`)]);
    expect(answers.map(({ error }) => error?.code ?? 'done').filter((code) => code === 'done')).toHaveLength(1);
  });

  it('needs somebody who has signed in', async () => {
    expect((await change(null, PASSWORD)).error).toMatchObject({ code: 'UNAUTHENTICATED' });
    expect((await change({ ...admin, scopes: ['vm:read'] }, ADMIN.password)).error).toMatchObject({ code: 'FORBIDDEN' });
  });
});
