import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Viewer } from '@novacron/contracts';
import { ADMIN, LOGIN, login, PASSWORD, startIdentity, type TestIdentity, type Tokens } from './identity.ts';
import { startMailServer, type TestMailServer } from './mail.ts';
import { EVERYTHING, NOTHING, plant, planted } from './planted.ts';

let mail: TestMailServer;
let identity: TestIdentity;
beforeAll(async () => {
  mail = await startMailServer();
  identity = await startIdentity({ mail: mail.options });
  await identity.service.bootstrap();
});
afterAll(async () => {
  await identity?.close();
  await mail?.stop();
});

const REGISTER = `mutation ($email: String!, $password: String!, $name: String!) { register(input: { email: $email, password: $password, name: $name }) {
  accessToken refreshToken expiresAt secondFactorRequired user { id email name emailVerified roles { role } permissions } } }`;
const register = (email: string, { password = PASSWORD, name = 'Somebody' } = {}) => identity.ask(null, REGISTER, { email, password, name });
const verify = (token: string | null, by: Viewer | null = null) => identity.ask(by, 'mutation ($token: String!) { verifyEmail(token: $token) }', { token });
const signIn = (email: string, password = PASSWORD) => identity.ask<{ login: Tokens & { user: { id: string } } }>(null, LOGIN, { email, password });
const authenticate = (token: string) => identity.service.authenticator.authenticate(token, null);
const idOf = async (email: string, password = PASSWORD) => (await signIn(email, password)).data.login.user.id;
const accounts = (email: string) => identity.sql('SELECT id, email_claimed AS claimed, email_verified AS verified FROM identity.users WHERE email = $1 ORDER BY created_at, id', [email]);
const set = (name: string, value: boolean) =>
  identity.sql("INSERT INTO identity.settings (name, value, changed_at, changed_by) VALUES ($1, $2, now(), gen_random_uuid()) ON CONFLICT (name) DO UPDATE SET value = excluded.value", [name, JSON.stringify(value)]);

/** What an answer looks like, without what differs between any two. */
const shapeOf = ({ data, error }: Awaited<ReturnType<typeof register>>) => ({
  error,
  payload: { ...data['register'], accessToken: typeof data['register'].accessToken, refreshToken: data['register'].refreshToken.length, user: { ...data['register'].user, id: '', email: '' } },
});

describe('register', () => {
  it('makes an account that is signed in, has no role, and is sent a mail', async () => {
    const { data, error } = await register('Grace@Example.org', { name: ' Grace ' });
    expect(error).toBeNull();
    expect(data['register']).toMatchObject({ secondFactorRequired: false, user: { email: 'grace@example.org', name: 'Grace', emailVerified: false, roles: [], permissions: [] } });
    expect((await authenticate(data['register'].accessToken)).viewer).toMatchObject({ userId: data['register'].user.id, roles: [] });
    expect((await mail.arrived('grace@example.org')).token).not.toBeNull();
    expect(await idOf('grace@example.org')).toBe(data['register'].user.id);
  });

  it('answers the same for an address that has an account, whose owner alone is told', async () => {
    const [taken, free] = [await register(ADMIN.email), await register('nobody-yet@example.org')];
    expect(shapeOf(taken)).toEqual(shapeOf(free));
    const told = await mail.arrived(ADMIN.email);
    expect(told.token).toBeNull();
    expect((await mail.arrived('nobody-yet@example.org')).token).toMatch(/^[\w-]{43}$/);
    expect((await login(identity)).viewer.roles).toHaveLength(1);
    expect((await signIn(ADMIN.email)).data.login.user.id).toBe(taken.data['register'].user.id);
  });

  it.each([
    ['email', 'no address', {}],
    ['name', 'a@example.org', { name: ' ' }],
    ['password', 'a@example.org', { password: 'short' }],
    ['password', 'a@example.org', { password: 'Password123' }],
    ['password', 'hopper-grace@example.org', { password: 'hopper-grace' }],
  ])('refuses a bad %s', async (field, email, changes) => {
    expect((await register(email, changes)).error).toMatchObject({ code: 'BAD_USER_INPUT', field });
    expect(await accounts(email)).toEqual([]);
  });

  it('gives nobody what was not asked for', async () => {
    const attempt = identity.ask(null, 'mutation ($input: RegisterInput!) { register(input: $input) { accessToken } }', { input: { email: 'm@example.org', name: 'm', password: PASSWORD, emailVerified: true, role: 'platform_admin' } });
    await expect(attempt).rejects.toThrow('"emailVerified" is not defined');
  });

  it('fills no mailbox', async () => {
    for (let count = 0; count < 7; count += 1) expect((await register('flooded@example.org')).error).toBeNull();
    expect(await identity.sql("SELECT 1 FROM identity.mails WHERE recipient = 'flooded@example.org'")).toHaveLength(5);
  });

  it('is closed where an administrator has closed it', async () => {
    await set('registration.open', false);
    expect((await register('late@example.org')).error).toMatchObject({ code: 'FORBIDDEN' });
    await set('registration.open', true);
    expect((await register('late@example.org')).error).toBeNull();
  });

  it('signs nobody in before the address is verified, where that is wanted', async () => {
    await set('signIn.verifiedOnly', true);
    const { data, error } = await register('careful@example.org');
    expect([error, data['register']]).toMatchObject([null, { accessToken: null, refreshToken: null, secondFactorRequired: false, user: null }]);
    expect((await signIn('careful@example.org')).error).toMatchObject({ code: 'FORBIDDEN' });
    expect((await signIn('careful@example.org', 'a wrong password')).error).toMatchObject({ code: 'UNAUTHENTICATED' });
    await verify((await mail.arrived('careful@example.org')).token);
    expect((await signIn('careful@example.org')).error).toBeNull();
    expect((await login(identity)).viewer.roles).toHaveLength(1); // vouched for, if not verified
    await set('signIn.verifiedOnly', false);
  });
});

describe('verifyEmail', () => {
  it('gives the account its address, once', async () => {
    await register('ada@example.org');
    const { token } = await mail.arrived('ada@example.org');
    expect(await verify(token)).toEqual({ data: { verifyEmail: true }, error: null });
    expect(await accounts('ada@example.org')).toMatchObject([{ claimed: true, verified: true }]);
    expect((await verify(token)).error).toMatchObject({ code: 'BAD_USER_INPUT', field: 'token' });
  });

  it('removes the others that waited for it, and ends what they have open', async () => {
    const stranger = (await register('wanted@example.org', { password: 'the password of a stranger' })).data['register'];
    await mail.arrived('wanted@example.org');
    const owner = (await register('wanted@example.org')).data['register'];
    await verify((await mail.arrived('wanted@example.org', undefined, 1)).token, (await authenticate(owner.accessToken)).viewer);
    expect(await accounts('wanted@example.org')).toMatchObject([{ id: owner.user.id, claimed: true }]);
    await expect(authenticate(stranger.accessToken)).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
    expect((await authenticate(owner.accessToken)).viewer.userId).toBe(owner.user.id);
    expect((await signIn('wanted@example.org', 'the password of a stranger')).error).toMatchObject({ code: 'UNAUTHENTICATED' });
    expect((await identity.events()).filter(({ body }) => JSON.stringify(body).includes(stranger.user.id))).toMatchObject([{ type: 'session.revoked' }]);
  });

  it.each([
    ['removes what was put in, where no session of the account asks', false],
    ['leaves all of it to whoever is signed in to the account', true],
  ])('%s', async (_what, isOwn) => {
    const email = `planted-${isOwn}@example.org`;
    const { accessToken, user } = (await register(email)).data['register'];
    const { viewer } = await authenticate(accessToken);
    await plant(identity, viewer);
    const { token } = await mail.arrived(email);
    expect((await verify(token, isOwn ? viewer : (await login(identity)).viewer)).error).toBeNull();
    expect(await planted(identity, user.id)).toEqual(isOwn ? EVERYTHING : NOTHING);
    expect((await authenticate(accessToken)).viewer.userId).toBe(user.id);
    expect((await accounts(email))[0]).toMatchObject({ claimed: true, verified: true });
  });

  it('gives an address to one of two that come at once', async () => {
    for (let round = 0; round < 5; round += 1) {
      const email = `race${round}@example.org`;
      await register(email);
      await register(email);
      await mail.arrived(email, undefined, 1);
      const tokens = mail.mails.filter(({ recipients }) => recipients.includes(email)).map(({ token }) => token);
      const answers = await Promise.all(tokens.map((token) => verify(token)));
      expect(answers).toHaveLength(2);
      expect(answers.filter(({ error }) => error === null)).toHaveLength(1);
      expect(await accounts(email)).toMatchObject([{ claimed: true }]);
    }
  });

  it('spends a token once, under any race', async () => {
    await register('twice@example.org');
    const { token } = await mail.arrived('twice@example.org');
    const answers = await Promise.all([verify(token), verify(token), verify(token)]);
    expect(answers.filter(({ error }) => error === null)).toHaveLength(1);
  });

  it('takes no address away from an account that has it', async () => {
    await register('given@example.org');
    const { token } = await mail.arrived('given@example.org');
    const admin = (await login(identity)).viewer;
    const made = await identity.ask(admin, 'mutation ($input: CreateUserInput!) { createUser(input: $input) { id } }', {
      input: { email: 'given@example.org', name: 'Given', password: 'another password', tenantId: admin.roles[0]?.tenantId, role: 'viewer' },
    });
    expect((await verify(token)).error).toMatchObject({ code: 'INVALID_STATE' });
    expect(await idOf('given@example.org', 'another password')).toBe(made.data['createUser'].id);
    expect((await accounts('given@example.org')).filter(({ claimed }) => claimed)).toHaveLength(1);
  });

  it('refuses a token that has expired', async () => {
    await register('slow@example.org');
    const { token } = await mail.arrived('slow@example.org');
    identity.clock.advance(24 * 3_600_000);
    expect((await verify(token)).error).toMatchObject({ code: 'BAD_USER_INPUT', field: 'token' });
  });

  it.each(['', 'unknown', '\u0000', 'x'.repeat(1_000)])('refuses %j', async (token) => {
    expect((await verify(token)).error).toMatchObject({ code: 'BAD_USER_INPUT', field: 'token' });
  });
});

describe('requestEmailVerification', () => {
  const REQUEST = 'mutation { requestEmailVerification }';

  it('sends another mail, whose token replaces the one before; five within a quarter of an hour', async () => {
    const { viewer } = await authenticate((await register('again@example.org')).data['register'].accessToken);
    const first = await mail.arrived('again@example.org');
    expect(await identity.ask(viewer, REQUEST)).toEqual({ data: { requestEmailVerification: true }, error: null });
    const second = await mail.arrived('again@example.org', undefined, 1);
    for (let count = 2; count < 5; count += 1) {
      expect((await identity.ask(viewer, REQUEST)).error).toBeNull();
      await mail.arrived('again@example.org', undefined, count);
    }
    expect((await identity.ask(viewer, REQUEST)).error).toMatchObject({ code: 'RATE_LIMITED' });
    expect((await verify(first.token)).error).toMatchObject({ code: 'BAD_USER_INPUT' });
    expect((await verify(second.token)).error).toMatchObject({ code: 'BAD_USER_INPUT' });
    expect((await verify((await mail.arrived('again@example.org', undefined, 4)).token)).error).toBeNull();
    expect((await identity.ask(viewer, REQUEST)).error).toMatchObject({ code: 'INVALID_STATE' });
  });

  it('fills no mailbox from many accounts that wait for one address', async () => {
    const email = 'awaited@example.org';
    const tokens: string[] = [];
    for (let count = 0; count < 3; count += 1) tokens.push((await register(email)).data['register'].accessToken);
    const answers = [];
    for (const token of tokens) {
      const { viewer } = await authenticate(token);
      for (let count = 0; count < 2; count += 1) answers.push(await identity.ask(viewer, REQUEST));
    }
    expect(answers).toEqual(answers.map(() => ({ data: { requestEmailVerification: true }, error: null })));
    expect(await identity.sql('SELECT FROM identity.mails WHERE recipient = $1', [email])).toHaveLength(5);
    // what was not mailed does not take the place of what was
    expect((await verify((await mail.arrived(email, undefined, 2)).token, (await authenticate(tokens[2] ?? '')).viewer)).error).toBeNull();
  });

  it('needs somebody', async () => {
    expect((await identity.ask(null, REQUEST)).error).toMatchObject({ code: 'UNAUTHENTICATED' });
  });
});

it('stores no token that was mailed, only its hash', async () => {
  await register('hashed@example.org');
  const { token } = await mail.arrived('hashed@example.org');
  const rows = await identity.sql('SELECT token_hash::text AS hash FROM identity.mail_tokens');
  expect(rows.every(({ hash }) => /^\\x[0-9a-f]{64}$/.test(hash))).toBe(true);
  expect(rows.some(({ hash }) => hash.includes(Buffer.from(token ?? '').toString('hex')))).toBe(false);
});
