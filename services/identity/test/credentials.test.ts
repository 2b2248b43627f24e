import { secretsOf } from '@novacron/secrets';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createCredentials } from '../src/accounts/credentials.ts';
import { createHousekeeping } from '../src/accounts/housekeeping.ts';
import { createRecovery } from '../src/accounts/recovery.ts';
import { createRegistration } from '../src/accounts/registration.ts';
import { createAccessTokens } from '../src/access-tokens.ts';
import { createAdmission, type Admission } from '../src/admission.ts';
import { createKeyring } from '../src/keyring.ts';
import { createMailbox } from '../src/mail/mailbox.ts';
import { createPasswords, type Hashing, type Passwords } from '../src/passwords.ts';
import type { SecondFactors } from '../src/second-factor/second-factors.ts';
import { removeUnclaimed } from '../src/store/claims.ts';
import { openDatabase, type Database } from '../src/store/database.ts';
import { ADMIN, LOGIN, login, makeUser, PASSWORD, startIdentity, type TestIdentity } from './identity.ts';

let identity: TestIdentity;
let db: Database;
beforeAll(async () => {
  identity = await startIdentity();
  db = openDatabase(identity.databaseUrl);
  await identity.service.bootstrap();
});
afterAll(async () => {
  await db?.$disconnect();
  await identity?.close();
});

const logger = pino({ level: 'silent' });
const ORIGIN = { address: null, device: null };
const credentialsWith = (passwords: Passwords, watched = db) => createCredentials({ db: watched, passwords, now: identity.clock.now, logger });
const hashOf = async (email: string) => (await identity.sql('SELECT password_hash AS hash FROM identity.users WHERE email = $1', [email]))[0]?.['hash'];

/** The database, and what is asked of it. */
function watch(): { watched: Database; asked: string[] } {
  const asked: string[] = [];
  const watched = db.$extends({
    query: {
      async $allOperations({ model, operation, args, query }) {
        asked.push(`${model ?? ''}.${operation}`);
        return query(args);
      },
    },
  });
  return { watched: watched as unknown as Database, asked }; // it does all that it did before
}

describe('the same work whatever was wrong, so that the time tells nothing:', () => {
  const NAMES = [ADMIN.email, 'nobody@example.org', 'no address', 'nobody'];

  it('two passwords are checked', async () => {
    const passwords = createPasswords({ now: () => 0 });
    const checked: (string | null)[][] = [];
    const seen = (verify: Hashing['verify']): Hashing['verify'] => (password, stored) => (checked.at(-1)?.push(stored), verify(password, stored));
    const credentials = credentialsWith({ ...passwords, inTurn: (hashes, work) => passwords.inTurn(hashes, (hashing) => work({ ...hashing, verify: seen(hashing.verify) })) });
    for (const name of NAMES) {
      checked.push([]);
      const attempt = credentials.check({ login: name, password: 'wrong password' }, ORIGIN, 'test');
      await expect(attempt).rejects.toMatchObject({ code: 'UNAUTHENTICATED', message: 'The e-mail address or the password is wrong.' });
    }
    expect(checked).toEqual([[expect.stringContaining('$argon2id$'), null], [null, null], [null, null], [null, null]]);
  });

  it('the same is asked of the database', async () => {
    const found: string[][] = [];
    for (const name of NAMES) {
      const { watched, asked } = watch();
      await expect(credentialsWith(createPasswords({ now: () => 0 }), watched).check({ login: name, password: 'wrong password' }, ORIGIN, 'test')).rejects.toThrow('wrong');
      found.push(asked);
    }
    expect(found).toEqual(NAMES.map(() => found[0]));
    expect(found[0]?.length).toBeGreaterThan(5);
  });

  it('also for who has forgotten a password', async () => {
    const posted = createMailbox({ secrets: secretsOf(identity.masterKey), ring: () => undefined });
    const found: string[][] = [];
    for (const email of [ADMIN.email, 'nobody@example.org', 'no address']) {
      const { watched, asked } = watch();
      const recovery = createRecovery({ db: watched, passwords: createPasswords(), mailbox: posted, admission: {} as Admission, now: identity.clock.now, logger }); // nobody signs in
      await recovery.request(email, 'test');
      found.push(asked);
    }
    // a token is kept for one, a mail taken back for the others
    expect(found[0]?.map((one) => (one === 'MailToken.create' ? 'written' : one)).toSorted()).toEqual(found[1]?.map((one) => (one === 'Mail.deleteMany' ? 'written' : one)).toSorted());
    expect(found[1]).toEqual(found[2]);
  });

  it('also for who registers', async () => {
    const posted = createMailbox({ secrets: secretsOf(identity.masterKey), ring: () => undefined });
    const found: string[][] = [];
    for (const email of [ADMIN.email, 'newcomer@example.org']) {
      const { watched, asked } = watch();
      const admission: Pick<Admission, 'admit'> = { admit: () => Promise.resolve({ owed: 'verification' }) };
      const registration = createRegistration({ db: watched, passwords: createPasswords(), mailbox: posted, admission: admission as Admission, now: identity.clock.now, logger }); // all of it that is asked
      await registration.register({ email, name: 'Somebody', password: PASSWORD }, ORIGIN, 'test');
      found.push(asked);
    }
    expect(found[0]).toEqual(found[1]);
  });
});

describe('a flood of sign-ins', () => {
  it('has one hash made at a time; whoever would wait too long is refused before anything is looked up', async () => {
    let at = 0;
    let running = 0;
    let most = 0;
    const release = Promise.withResolvers<void>();
    const passwords = createPasswords({
      now: () => at,
      run: async ({ tagLength }) => {
        most = Math.max(most, (running += 1));
        await release.promise;
        at += 100;
        running -= 1;
        return Buffer.alloc(tagLength);
      },
    });
    const { watched, asked } = watch();
    const credentials = credentialsWith(passwords, watched);
    const signIn = (name: string) => credentials.check({ login: name, password: 'wrong password' }, ORIGIN, 'test').then(() => 'signed in', ({ code }) => code);
    const waiting = Array.from({ length: 26 }, (_, index) => passwords.inTurn(2, ({ verify }) => verify(`${index}`, null)));
    expect(await signIn('late@example.org')).toBe('RATE_LIMITED');
    expect(asked).toEqual([]);
    release.resolve();
    await Promise.all(waiting);
    expect(most).toBe(1);
    expect(await signIn('later@example.org')).toBe('UNAUTHENTICATED');
  });
});

describe('a user name', () => {
  it('stands for the address, whatever its case', async () => {
    const admin = (await login(identity)).viewer;
    await identity.sql("UPDATE identity.users SET username = 'root' WHERE id = $1", [admin.userId]);
    for (const name of ['root', ' ROOT ']) {
      const { data, error } = await identity.ask(null, LOGIN, { email: name, password: ADMIN.password });
      expect([error, data['login'].user.id]).toEqual([null, admin.userId]);
    }
    expect((await identity.ask(null, LOGIN, { email: 'root', password: PASSWORD })).error).toMatchObject({ code: 'UNAUTHENTICATED' });
    expect((await identity.ask(null, LOGIN, { email: 'roo', password: ADMIN.password })).error).toMatchObject({ code: 'UNAUTHENTICATED' });
  });
});

describe('a password that was hashed at less than what a new one costs', () => {
  const cheap = createPasswords({ cost: { memory: 8_192, passes: 1, parallelism: 1 } });
  const typed = { login: 'frugal@example.org', password: PASSWORD };

  it('is hashed again by who signs in, and by nobody else', async () => {
    const admin = (await login(identity)).viewer;
    await makeUser(identity, admin, 'frugal', admin.roles[0]!.tenantId, 'viewer'); // bootstrap gave it
    await identity.sql("UPDATE identity.users SET password_hash = $1 WHERE email = 'frugal@example.org'", [await cheap.hash(PASSWORD)]);
    const credentials = credentialsWith(createPasswords());
    await expect(credentials.check({ ...typed, password: 'wrong password' }, ORIGIN, 'test')).rejects.toThrow('wrong');
    expect(await hashOf('frugal@example.org')).toContain('$m=8192,t=1,p=1$');
    expect((await credentials.check(typed, ORIGIN, 'test')).user.email).toBe('frugal@example.org');
    const renewed = await hashOf('frugal@example.org');
    expect(renewed).toContain('$m=19456,t=2,p=1$');
    await credentials.check(typed, ORIGIN, 'test');
    expect(await hashOf('frugal@example.org')).toBe(renewed);
  });

  it('is left as it is where that cost more', async () => {
    const renewed = await hashOf('frugal@example.org');
    await credentialsWith(cheap).check(typed, ORIGIN, 'test');
    expect(await hashOf('frugal@example.org')).toBe(renewed);
  });
});

it('opens no session for a password that was changed meanwhile', async () => {
  const admin = (await login(identity)).viewer;
  const id = await makeUser(identity, admin, 'overtaken', admin.roles[0]!.tenantId, 'viewer'); // bootstrap gave it
  const keyring = createKeyring({ db, secrets: secretsOf(identity.masterKey), now: identity.clock.now, logger, tokenLifetimeMs: 600_000 });
  const mailbox = createMailbox({ secrets: secretsOf(identity.masterKey), ring: () => undefined });
  const secondFactors = { check: () => Promise.resolve('none') } as unknown as SecondFactors; // all of it that is asked
  const accessTokens = createAccessTokens({ keyring, now: identity.clock.now, lifetimeMs: 600_000 });
  const admission = createAdmission({ db, accessTokens, secondFactors, mailbox, sessionLifetimeMs: 600_000, now: identity.clock.now, logger });
  const proven = { ...(await credentialsWith(createPasswords()).check({ login: 'overtaken@example.org', password: PASSWORD }, ORIGIN, 'test')), code: null };
  await identity.sql('UPDATE identity.users SET password_changed_at = now() WHERE id = $1', [id]);
  await expect(admission.admit(proven, ORIGIN, 'test')).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
  expect(await identity.sql('SELECT 1 FROM identity.sessions WHERE user_id = $1', [id])).toEqual([]);
  const { passwordSince: _, ...byLink } = proven;
  expect(await admission.admit(byLink, ORIGIN, 'test')).toMatchObject({ view: { user: { id } } });
});

describe('what is of no use any more', () => {
  const register = async (email: string) =>
    (await identity.ask(null, 'mutation ($e: String!, $p: String!) { register(input: { email: $e, password: $p, name: "n" }) { accessToken user { id } } }', { e: email, p: PASSWORD })).data['register'];
  const left = async () => (await identity.sql("SELECT email FROM identity.users WHERE email LIKE '%@left.example.org' ORDER BY email")).map(({ email }) => email.split('@')[0]);

  it('is an account that nobody has verified or taken in for seven days, with what it has open', async () => {
    const tidy = createHousekeeping({ db, now: identity.clock.now, logger });
    const admin = (await login(identity)).viewer;
    const stale = await register('stale@left.example.org');
    const { user: verified } = await register('verified@left.example.org');
    const { user: taken } = await register('taken@left.example.org');
    const { user: deleted } = await register('deleted@left.example.org');
    await identity.sql('UPDATE identity.users SET email_claimed = true WHERE id = $1', [verified.id]);
    await identity.sql('UPDATE identity.users SET deleted_at = now() WHERE id = $1', [deleted.id]); // others' rows name it
    const { error } = await identity.ask(admin, 'mutation ($u: ID!, $t: ID!) { assignRole(userId: $u, role: "viewer", tenantId: $t) { id } }', { u: taken.id, t: admin.roles[0]?.tenantId });
    expect(error).toBeNull();
    identity.clock.advance(6 * 24 * 3_600_000);
    await register('young@left.example.org');
    await tidy();
    expect(await left()).toEqual(['deleted', 'stale', 'taken', 'verified', 'young']);
    identity.clock.advance(24 * 3_600_000);
    await tidy();
    expect(await left()).toEqual(['deleted', 'taken', 'verified', 'young']);
    expect((await identity.events()).filter(({ type, body }) => type === 'session.revoked' && JSON.stringify(body).includes(stale.user.id))).toHaveLength(1);
    // an administrator vouched for it
    expect(await identity.sql('SELECT email_claimed FROM identity.users WHERE id = $1', [taken.id])).toEqual([{ email_claimed: true }]);
  });

  it('is all that there is, however many those accounts are', async () => {
    for (let count = 0; count < 5; count += 1) await register(`many${count}@left.example.org`);
    expect(await removeUnclaimed(db, identity.clock.now(), 2)).toBeGreaterThanOrEqual(5);
    expect(await identity.sql("SELECT FROM identity.users WHERE email LIKE 'many%@left.example.org'")).toEqual([]);
  });

  it('is an attempt of 30 days ago, and a token that nobody can use', async () => {
    const tidy = createHousekeeping({ db, now: identity.clock.now, logger });
    const rows = async () => (await identity.sql('SELECT (SELECT count(*)::int FROM identity.sign_in_attempts) AS attempts, (SELECT count(*)::int FROM identity.mail_tokens) AS tokens, (SELECT count(*)::int FROM identity.sign_in_throttles) AS throttles'))[0];
    await identity.ask(null, LOGIN, { email: 'x@example.org', password: 'x' });
    expect(await rows()).toMatchObject({ attempts: expect.any(Number), throttles: expect.any(Number) });
    identity.clock.advance(30 * 24 * 3_600_000);
    await tidy();
    expect(await rows()).toEqual({ attempts: 0, tokens: 0, throttles: 0 });
  });
});
