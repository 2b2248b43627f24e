import { Secret } from 'otpauth';
import pg from 'pg';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Viewer } from '@novacron/contracts';
import { secretsOf } from '@novacron/secrets';
import { eventually } from '@novacron/testkit';
import { createOwnPassword } from '../src/accounts/own-password.ts';
import { createMailbox } from '../src/mail/mailbox.ts';
import { createPasswords } from '../src/passwords.ts';
import { createSecondFactors, type SecondFactors } from '../src/second-factor/second-factors.ts';
import { openDatabase, type Database } from '../src/store/database.ts';
import { member, PASSWORD, type TestIdentity } from './identity.ts';
import { BEGIN, CONFIRM, DISABLE, RENEW, REQUIRE, RESET, startSecondFactors, STEP_MS, type SecondFactorKit } from './second-factor.ts';

let kit: SecondFactorKit;
let identity: TestIdentity;
let admin: Viewer;
let tenant: string;
let db: Database;
/** As signing in asks it, without the password before it. */
let secondFactors: SecondFactors;

beforeAll(async () => {
  kit = await startSecondFactors();
  ({ identity, admin, tenant } = kit);
  db = openDatabase(identity.databaseUrl);
  const secrets = secretsOf(identity.masterKey);
  const mailbox = createMailbox({ secrets, ring: () => undefined });
  const ownPassword = createOwnPassword({ db, passwords: createPasswords(), now: identity.clock.now });
  secondFactors = createSecondFactors({ db, secrets, ownPassword, mailbox, now: identity.clock.now, logger: pino({ level: 'silent' }) });
});
afterAll(async () => {
  await db?.$disconnect();
  await identity?.close();
});

/** What becomes of a code without a sign-in around it: new backup codes are asked for with it. */
const spend = async (viewer: Viewer, code: string): Promise<string> => (await identity.ask(viewer, RENEW, { code })).error?.code ?? 'right';

describe('setting it up', () => {
  it('changes nothing before it is confirmed, and then asks for a code at every sign-in', async () => {
    const viewer = await member(identity, admin, 'begins', tenant, 'operator');
    const begun = (await identity.ask(viewer, BEGIN)).data['beginTotp'];
    expect(begun.otpauthUri).toContain('begins%40example.org');
    expect(begun.otpauthUri).toContain(begun.secret);
    expect(begun.qrCodeSvg).toMatch(/^<svg /);
    expect(await kit.state(viewer)).toEqual({ totpEnabled: false, backupCodesLeft: 0 });
    expect((await kit.signIn('begins@example.org')).data['login']).toMatchObject({ secondFactorRequired: false });

    const { data } = await identity.ask(viewer, CONFIRM, { code: kit.codeOf(begun.secret) }, { address: '198.51.100.9' });
    expect(new Set(data['confirmTotp'].codes).size).toBe(10);
    expect(await kit.state(viewer)).toEqual({ totpEnabled: true, backupCodesLeft: 10 });
    expect((await kit.signIn('begins@example.org')).data['login']).toEqual({ accessToken: null, refreshToken: null, secondFactorRequired: true, user: null });
    identity.clock.advance(STEP_MS);
    expect((await kit.signIn('begins@example.org', kit.codeOf(begun.secret))).data['login'].accessToken).toEqual(expect.any(String));
    const changed = (await kit.mails('begins@example.org')).filter(({ kind }) => kind === 'second_factor_changed');
    expect(changed).toEqual([{ kind: 'second_factor_changed', content: { name: 'begins', change: 'enabled', address: '198.51.100.9', at: expect.any(String) } }]);
  });

  it('ends the other sessions, and keeps the one that asks', async () => {
    const viewer = await member(identity, admin, 'elsewhere', tenant, 'operator');
    const other = (await kit.signIn('elsewhere@example.org')).data['login'].accessToken;
    const { sessionId } = await kit.viewerOf(other);
    const before = await kit.eventsOf(viewer.userId, viewer.sessionId, sessionId);
    await kit.enable(viewer);
    await expect(kit.viewerOf(other)).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
    expect((await kit.eventsOf(viewer.userId, viewer.sessionId, sessionId)).slice(before.length)).toEqual(['session.revoked', 'user.access']);
    expect(await identity.sql('SELECT second_factor, revoked_at FROM identity.sessions WHERE id = $1', [viewer.sessionId])).toEqual([{ second_factor: true, revoked_at: null }]);
  });

  it('is not overtaken by a sign-in that began without it', async () => {
    const viewer = await member(identity, admin, 'overtakes', tenant, 'operator');
    await identity.ask(viewer, BEGIN);
    const client = new pg.Client({ connectionString: identity.databaseUrl });
    await client.connect();
    try {
      await client.query('BEGIN');
      await client.query('SELECT 1 FROM identity.users WHERE id = $1 FOR NO KEY UPDATE', [viewer.userId]);
      const signingIn = kit.signIn('overtakes@example.org');
      const waits = async () => (await identity.sql("SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'")).length > 0;
      await eventually('the sign-in to have asked for no code, and to wait', waits, { timeoutMs: 30_000 });
      await client.query('UPDATE identity.totp SET confirmed_at = now() WHERE user_id = $1', [viewer.userId]);
      await client.query('COMMIT');
      expect((await signingIn).data['login']).toEqual({ accessToken: null, refreshToken: null, secondFactorRequired: true, user: null });
    } finally {
      await client.end();
    }
  });

  it('wants the code of the secret that was made last, and in time', async () => {
    const viewer = await member(identity, admin, 'begins-twice', tenant, 'operator');
    const confirm = async (code: string) => (await identity.ask(viewer, CONFIRM, { code })).error?.code ?? 'done';
    expect(await confirm('123456')).toBe('INVALID_STATE');
    const first = (await identity.ask(viewer, BEGIN)).data['beginTotp'].secret;
    const second = (await identity.ask(viewer, BEGIN)).data['beginTotp'].secret;
    expect(await confirm(kit.wrongCode(second))).toBe('BAD_USER_INPUT');
    expect(await confirm(kit.codeOf(first))).toBe('BAD_USER_INPUT');
    identity.clock.advance(15 * 60_000);
    expect(await confirm(kit.codeOf(second))).toBe('INVALID_STATE');
    const { secret } = (await identity.ask(viewer, BEGIN, { password: PASSWORD })).data['beginTotp'];
    expect(await confirm(kit.codeOf(secret))).toBe('done');
    expect(await confirm(kit.codeOf(secret))).toBe('INVALID_STATE');
    expect((await identity.ask(viewer, BEGIN, { password: PASSWORD })).error).toMatchObject({ code: 'INVALID_STATE' });
  });

  it('wants the password of whoever signed in a while ago', async () => {
    const viewer = await member(identity, admin, 'begins-late', tenant, 'operator');
    identity.clock.advance(10 * 60_000 - 1);
    expect((await identity.ask(viewer, BEGIN)).error).toBeNull();
    identity.clock.advance(1);
    for (const password of [undefined, null, '', 'a wrong password']) {
      expect((await identity.ask(viewer, BEGIN, { password })).error).toMatchObject({ code: 'BAD_USER_INPUT', field: 'password' });
    }
    expect((await identity.ask(viewer, BEGIN, { password: PASSWORD })).error).toBeNull();
  });

  it('leaves one of several that are begun or confirmed at once', async () => {
    const viewer = await member(identity, admin, 'begins-at-once', tenant, 'operator');
    const begun = await Promise.all(Array.from({ length: 5 }, () => identity.ask(viewer, BEGIN)));
    const secrets: string[] = begun.map(({ data }) => data['beginTotp'].secret);
    const answers = await Promise.all(secrets.flatMap((secret) => [0, 1].map(() => identity.ask(viewer, CONFIRM, { code: kit.codeOf(secret) }))));
    expect(answers.filter(({ error }) => error === null)).toHaveLength(1);
    expect(await kit.state(viewer)).toEqual({ totpEnabled: true, backupCodesLeft: 10 });
  });

  it('stores neither secret nor codes as they are', async () => {
    const { viewer, secret, codes } = await kit.holder('at-rest');
    const rows = await identity.sql('SELECT to_jsonb(t)::text AS row FROM identity.totp t UNION ALL SELECT to_jsonb(b)::text FROM identity.backup_codes b');
    const stored = rows.map(({ row }) => row).join('\n');
    expect(stored).toContain(viewer.userId);
    for (const plain of [secret, ...codes]) for (const form of [plain, plain.replaceAll('-', '')]) for (const text of [form, Buffer.from(form).toString('hex')]) expect(stored).not.toContain(text);
    expect(stored).not.toContain(Buffer.from(Secret.fromBase32(secret).bytes).toString('hex'));
  });
});

describe('a code', () => {
  it('is good one step early and one step late, and no further', async () => {
    const { email, viewer, secret } = await kit.holder('drifts');
    const outcomes: string[] = [];
    for (const drift of [-2, 2, -1, 0, 1]) outcomes.push(await spend(viewer, kit.codeOf(secret, drift)));
    expect(outcomes).toEqual(['BAD_USER_INPUT', 'BAD_USER_INPUT', 'BAD_USER_INPUT', 'right', 'right']); // -1 is the one it was set up with
    identity.clock.advance(3 * STEP_MS);
    expect((await kit.signIn(email, kit.codeOf(secret, -1))).error).toBeNull();
  });

  it('is good once, also for all who have it at once', async () => {
    const { email, viewer, secret } = await kit.holder('replays');
    const shown = kit.codeOf(secret);
    expect((await kit.signIn(email, shown)).error).toBeNull();
    expect((await kit.signIn(email, shown)).error).toMatchObject({ code: 'UNAUTHENTICATED', field: 'code' });
    for (let round = 0; round < 5; round += 1) {
      identity.clock.advance(STEP_MS);
      const code = kit.codeOf(secret);
      const answers = await Promise.all(Array.from({ length: 4 }, () => spend(viewer, code)));
      expect(answers.toSorted()).toEqual([...Array(3).fill('BAD_USER_INPUT'), 'right']);
    }
  });

  it('does not replace the password', async () => {
    const { email, secret } = await kit.holder('no-password');
    const { error } = await kit.signIn(email, kit.codeOf(secret), 'another password');
    expect(error).toMatchObject({ code: 'UNAUTHENTICATED' });
    expect((await kit.signIn(email, kit.codeOf(secret))).error).toBeNull(); // nor was it spent
  });

  it('is not looked at for a while after five wrong ones, but a backup code is', async () => {
    const { email, viewer, secret, codes } = await kit.holder('guessed');
    for (let guess = 0; guess < 5; guess += 1) expect(await spend(viewer, kit.wrongCode(secret))).toBe('BAD_USER_INPUT');
    expect((await kit.signIn(email, kit.codeOf(secret))).error).toMatchObject({ code: 'RATE_LIMITED', message: expect.stringContaining('30 s'), retryable: true });
    expect((await kit.signIn(email, codes[0])).error).toBeNull();
    identity.clock.advance(30_000);
    expect(await spend(viewer, kit.wrongCode(secret))).toBe('BAD_USER_INPUT');
    expect(await spend(viewer, kit.codeOf(secret))).toBe('RATE_LIMITED');
    identity.clock.advance(59_999);
    expect(await spend(viewer, kit.codeOf(secret))).toBe('RATE_LIMITED');
    identity.clock.advance(1);
    expect((await kit.signIn(email, kit.codeOf(secret))).error).toBeNull();
    expect(await identity.sql('SELECT failures, refused_until FROM identity.totp JOIN identity.users ON id = user_id WHERE email = $1', [email])).toEqual([{ failures: 0, refused_until: null }]);
  });

  it('is not guessed faster by many at once', async () => {
    const { viewer, secret } = await kit.holder('crowd');
    const answers = await Promise.all(Array.from({ length: 12 }, () => spend(viewer, kit.wrongCode(secret))));
    expect(answers.toSorted()).toEqual([...Array(5).fill('BAD_USER_INPUT'), ...Array(7).fill('RATE_LIMITED')]);
  });
});

describe('a backup code', () => {
  it('is good once, however it is typed, and its owner gets a mail', async () => {
    const { email, viewer, codes } = await kit.holder('backs-up');
    const [first = '', second = ''] = codes;
    expect((await kit.signIn(email, first.toUpperCase().replaceAll('-', ' '))).error).toBeNull();
    expect((await kit.signIn(email, first)).error).toMatchObject({ code: 'UNAUTHENTICATED', field: 'code' });
    const answers = await Promise.all(Array.from({ length: 6 }, () => secondFactors.check(viewer.userId, second, { address: null, device: null })));
    expect(answers.toSorted()).toEqual(['right', ...Array(5).fill('wrong')]);
    expect(await kit.state(viewer)).toEqual({ totpEnabled: true, backupCodesLeft: 8 });
    expect(await kit.changes(email)).toEqual(['enabled', 'used, 9 left', 'used, 8 left']);
    expect((await kit.mails(email)).find(({ kind }) => kind === 'backup_code_used')?.content).toMatchObject({ address: '192.0.2.1', device: 'test agent' });
  });

  it("is nobody else's", async () => {
    const [one, other] = [await kit.holder('own-codes'), await kit.holder('others-codes')];
    expect((await kit.signIn(one.email, other.codes[0])).error).toMatchObject({ code: 'UNAUTHENTICATED' });
    expect((await kit.signIn(other.email, other.codes[0])).error).toBeNull();
  });

  it('gives way to new ones', async () => {
    const { email, viewer, secret, codes } = await kit.holder('renews');
    expect((await identity.ask(viewer, RENEW, { code: kit.wrongCode(secret) })).error).toMatchObject({ code: 'BAD_USER_INPUT', field: 'code' });
    const { data } = await identity.ask(viewer, RENEW, { code: codes[0] });
    const renewed: string[] = data['renewBackupCodes'].codes;
    expect(renewed).toHaveLength(10);
    expect((await kit.signIn(email, codes[1])).error).toMatchObject({ code: 'UNAUTHENTICATED' });
    expect((await kit.signIn(email, renewed[0])).error).toBeNull();
    expect(await kit.changes(email)).toEqual(['enabled', 'used, 9 left', 'codes_renewed', 'used, 9 left']);
  });
});

describe('taking it away', () => {
  it('needs a code, and then the password is enough again', async () => {
    const { email, viewer, secret } = await kit.holder('disables');
    expect((await identity.ask(viewer, DISABLE, { code: kit.wrongCode(secret) })).error).toMatchObject({ code: 'BAD_USER_INPUT', field: 'code' });
    expect(await identity.ask(viewer, DISABLE, { code: kit.codeOf(secret) })).toEqual({ data: { disableTotp: true }, error: null });
    expect(await kit.state(viewer)).toEqual({ totpEnabled: false, backupCodesLeft: 0 });
    expect((await kit.signIn(email)).data['login']).toMatchObject({ secondFactorRequired: false });
    expect((await identity.ask(viewer, DISABLE, { code: kit.codeOf(secret) })).error).toMatchObject({ code: 'INVALID_STATE' });
    expect(await kit.changes(email)).toEqual(['enabled', 'disabled']);
    expect(await identity.sql('SELECT 1 FROM identity.backup_codes WHERE user_id = $1', [viewer.userId])).toEqual([]);
  });

  it('is for who has signed in: not for nobody, and for no API token', async () => {
    const { viewer, secret } = await kit.holder('by-token');
    const token: Viewer = { ...viewer, scopes: ['vm:read'] };
    for (const document of [BEGIN, CONFIRM, DISABLE, RENEW]) {
      expect((await identity.ask(null, document, { code: kit.codeOf(secret) })).error).toMatchObject({ code: 'UNAUTHENTICATED' });
      expect((await identity.ask(token, document, { code: kit.codeOf(secret) })).error).toMatchObject({ code: 'FORBIDDEN' });
    }
    const administers: Viewer = { ...admin, scopes: ['second_factor:reset', 'second_factor:require'] };
    expect((await identity.ask(administers, RESET, { userId: viewer.userId })).error).toMatchObject({ code: 'FORBIDDEN' });
    expect((await identity.ask(administers, REQUIRE, { tenantId: tenant, roles: [] })).error).toMatchObject({ code: 'FORBIDDEN' });
    expect(await kit.state(viewer)).toEqual({ totpEnabled: true, backupCodesLeft: 10 });
  });
});
