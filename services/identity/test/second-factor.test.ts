import { Secret, TOTP } from 'otpauth';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Viewer } from '@novacron/contracts';
import { newId } from '@novacron/core';
import { secretsOf } from '@novacron/secrets';
import { createMailbox } from '../src/mail/mailbox.ts';
import { createSecondFactors, type SecondFactors } from '../src/second-factor/second-factors.ts';
import { openDatabase, type Database } from '../src/store/database.ts';
import { ADMIN, login, makeTenant, makeUser, member, PASSWORD, startIdentity, type TestIdentity } from './identity.ts';

let identity: TestIdentity;
let admin: Viewer;
let tenant: string;
let foreign: string;
let tenantAdmin: Viewer;
let db: Database;
/** As signing in asks it, without the password before it. */
let secondFactors: SecondFactors;

beforeAll(async () => {
  identity = await startIdentity();
  await identity.service.bootstrap();
  admin = (await login(identity)).viewer;
  tenant = await makeTenant(identity, admin, 'acme');
  foreign = await makeTenant(identity, admin, 'globex');
  tenantAdmin = await member(identity, admin, 'ta', tenant, 'tenant_admin');
  db = openDatabase(identity.databaseUrl);
  const secrets = secretsOf(identity.masterKey);
  const mailbox = createMailbox({ secrets, ring: () => undefined });
  secondFactors = createSecondFactors({ db, secrets, mailbox, now: identity.clock.now, logger: pino({ level: 'silent' }) });
});
afterAll(async () => {
  await db?.$disconnect();
  await identity?.close();
});

const BEGIN = 'mutation { beginTotp { secret otpauthUri qrCodeSvg } }';
const CONFIRM = 'mutation ($code: String!) { confirmTotp(code: $code) { codes } }';
const DISABLE = 'mutation ($code: String!) { disableTotp(code: $code) }';
const RENEW = 'mutation ($code: String!) { renewBackupCodes(code: $code) { codes } }';
const RESET = 'mutation ($userId: ID!) { resetSecondFactor(userId: $userId) { id totpEnabled } }';
const REQUIRE = 'mutation ($tenantId: ID!, $roles: [String!]!) { requireSecondFactor(tenantId: $tenantId, roles: $roles) { id secondFactorRoles } }';
const STATE = '{ me { totpEnabled backupCodesLeft } }';
const LOGIN = 'mutation ($input: LoginInput!) { login(input: $input) { accessToken refreshToken secondFactorRequired user { id } } }';

const STEP_MS = 30_000;
/** What an authenticator shows now, or would if its clock were so many steps off. */
const codeOf = (secret: string, drift = 0): string =>
  new TOTP({ secret: Secret.fromBase32(secret) }).generate({ timestamp: identity.clock.now().getTime() + drift * STEP_MS });
const wrongCode = (secret: string): string => {
  const right = [-1, 0, 1].map((drift) => codeOf(secret, drift));
  return ['000000', '111111', '222222', '333333'].find((code) => !right.includes(code)) ?? ''; // three of four at most are right
};

const signIn = (email: string, code?: string) =>
  identity.ask(null, LOGIN, { input: { email, password: email === ADMIN.email ? ADMIN.password : PASSWORD, code } }, { userAgent: 'test agent' });
/** What becomes of a code without a sign-in around it: new backup codes are asked for with it. */
const spend = async (viewer: Viewer, code: string): Promise<string> => (await identity.ask(viewer, RENEW, { code })).error?.code ?? 'right';
const viewerOf = async (token: string): Promise<Viewer> => (await identity.service.authenticator.authenticate(token, null)).viewer;

interface Holder {
  email: string;
  viewer: Viewer;
  secret: string;
  codes: string[];
}

/** A new operator of acme who has set up its second factor; its next code is a fresh one. */
async function holder(name: string, role = 'operator'): Promise<Holder> {
  const viewer = await member(identity, admin, name, tenant, role);
  return { email: `${name}@example.org`, viewer, ...(await enable(viewer)) };
}

async function enable(viewer: Viewer): Promise<{ secret: string; codes: string[] }> {
  const { secret } = (await identity.ask(viewer, BEGIN)).data['beginTotp'];
  const { data, error } = await identity.ask(viewer, CONFIRM, { code: codeOf(secret) });
  if (error) throw new Error(error.message);
  identity.clock.advance(STEP_MS);
  return { secret, codes: data['confirmTotp'].codes };
}

async function mails(email: string): Promise<{ kind: string; content: Record<string, unknown> }[]> {
  const secrets = secretsOf(identity.masterKey);
  const rows = await identity.sql('SELECT id, kind, content, key_id FROM identity.mails WHERE recipient = $1 ORDER BY id', [email]);
  return rows.map(({ id, kind, content, key_id: keyId }) => ({ kind, content: JSON.parse(secrets.open({ sealed: content, keyId }, `mail:${id}`).toString()) }));
}
const changes = async (email: string) =>
  (await mails(email)).flatMap(({ kind, content }) => (kind === 'second_factor_changed' ? [content['change']] : kind === 'backup_code_used' ? [`used, ${content['left']} left`] : []));
const eventsOf = async (...ids: string[]) => (await identity.events()).filter(({ entityId }) => ids.includes(entityId)).map(({ type }) => type);
const state = async (viewer: Viewer) => (await identity.ask(viewer, STATE)).data['me'];

describe('setting it up', () => {
  it('changes nothing before it is confirmed, and then asks for a code at every sign-in', async () => {
    const viewer = await member(identity, admin, 'begins', tenant, 'operator');
    const begun = (await identity.ask(viewer, BEGIN)).data['beginTotp'];
    expect(begun.otpauthUri).toContain('begins%40example.org');
    expect(begun.otpauthUri).toContain(begun.secret);
    expect(begun.qrCodeSvg).toMatch(/^<svg /);
    expect(await state(viewer)).toEqual({ totpEnabled: false, backupCodesLeft: 0 });
    expect((await signIn('begins@example.org')).data['login']).toMatchObject({ secondFactorRequired: false });

    const { data } = await identity.ask(viewer, CONFIRM, { code: codeOf(begun.secret) }, { address: '198.51.100.9' });
    expect(new Set(data['confirmTotp'].codes).size).toBe(10);
    expect(await state(viewer)).toEqual({ totpEnabled: true, backupCodesLeft: 10 });
    expect((await signIn('begins@example.org')).data['login']).toEqual({ accessToken: null, refreshToken: null, secondFactorRequired: true, user: null });
    identity.clock.advance(STEP_MS);
    expect((await signIn('begins@example.org', codeOf(begun.secret))).data['login'].accessToken).toEqual(expect.any(String));
    const changed = (await mails('begins@example.org')).filter(({ kind }) => kind === 'second_factor_changed');
    expect(changed).toEqual([{ kind: 'second_factor_changed', content: { name: 'begins', change: 'enabled', address: '198.51.100.9', at: expect.any(String) } }]);
  });

  it('ends the other sessions, and keeps the one that asks', async () => {
    const viewer = await member(identity, admin, 'elsewhere', tenant, 'operator');
    const other = (await signIn('elsewhere@example.org')).data['login'].accessToken;
    const { sessionId } = await viewerOf(other);
    const before = await eventsOf(viewer.userId, viewer.sessionId, sessionId);
    await enable(viewer);
    await expect(viewerOf(other)).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
    expect((await eventsOf(viewer.userId, viewer.sessionId, sessionId)).slice(before.length)).toEqual(['session.revoked', 'user.access']);
    expect(await identity.sql('SELECT second_factor, revoked_at FROM identity.sessions WHERE id = $1', [viewer.sessionId])).toEqual([{ second_factor: true, revoked_at: null }]);
  });

  it('wants the code of the secret that was made last, and in time', async () => {
    const viewer = await member(identity, admin, 'begins-twice', tenant, 'operator');
    const confirm = async (code: string) => (await identity.ask(viewer, CONFIRM, { code })).error?.code ?? 'done';
    expect(await confirm('123456')).toBe('INVALID_STATE');
    const first = (await identity.ask(viewer, BEGIN)).data['beginTotp'].secret;
    const second = (await identity.ask(viewer, BEGIN)).data['beginTotp'].secret;
    expect(await confirm(wrongCode(second))).toBe('BAD_USER_INPUT');
    expect(await confirm(codeOf(first))).toBe('BAD_USER_INPUT');
    identity.clock.advance(15 * 60_000);
    expect(await confirm(codeOf(second))).toBe('INVALID_STATE');
    const { secret } = (await identity.ask(viewer, BEGIN)).data['beginTotp'];
    expect(await confirm(codeOf(secret))).toBe('done');
    expect(await confirm(codeOf(secret))).toBe('INVALID_STATE');
    expect((await identity.ask(viewer, BEGIN)).error).toMatchObject({ code: 'INVALID_STATE' });
  });

  it('leaves one of several that are begun or confirmed at once', async () => {
    const viewer = await member(identity, admin, 'begins-at-once', tenant, 'operator');
    const begun = await Promise.all(Array.from({ length: 5 }, () => identity.ask(viewer, BEGIN)));
    const secrets: string[] = begun.map(({ data }) => data['beginTotp'].secret);
    const answers = await Promise.all(secrets.flatMap((secret) => [0, 1].map(() => identity.ask(viewer, CONFIRM, { code: codeOf(secret) }))));
    expect(answers.filter(({ error }) => error === null)).toHaveLength(1);
    expect(await state(viewer)).toEqual({ totpEnabled: true, backupCodesLeft: 10 });
  });

  it('stores neither secret nor codes as they are', async () => {
    const { viewer, secret, codes } = await holder('at-rest');
    const rows = await identity.sql('SELECT to_jsonb(t)::text AS row FROM identity.totp t UNION ALL SELECT to_jsonb(b)::text FROM identity.backup_codes b');
    const stored = rows.map(({ row }) => row).join('\n');
    expect(stored).toContain(viewer.userId);
    for (const plain of [secret, ...codes]) for (const form of [plain, plain.replaceAll('-', '')]) for (const text of [form, Buffer.from(form).toString('hex')]) expect(stored).not.toContain(text);
    expect(stored).not.toContain(Buffer.from(Secret.fromBase32(secret).bytes).toString('hex'));
  });
});

describe('a code', () => {
  it('is good one step early and one step late, and no further', async () => {
    const { email, viewer, secret } = await holder('drifts');
    const outcomes: string[] = [];
    for (const drift of [-2, 2, -1, 0, 1]) outcomes.push(await spend(viewer, codeOf(secret, drift)));
    expect(outcomes).toEqual(['BAD_USER_INPUT', 'BAD_USER_INPUT', 'BAD_USER_INPUT', 'right', 'right']); // -1 is the one it was set up with
    identity.clock.advance(3 * STEP_MS);
    expect((await signIn(email, codeOf(secret, -1))).error).toBeNull();
  });

  it('is good once, also for all who have it at once', async () => {
    const { email, viewer, secret } = await holder('replays');
    const shown = codeOf(secret);
    expect((await signIn(email, shown)).error).toBeNull();
    expect((await signIn(email, shown)).error).toMatchObject({ code: 'UNAUTHENTICATED', field: 'code' });
    for (let round = 0; round < 5; round += 1) {
      identity.clock.advance(STEP_MS);
      const code = codeOf(secret);
      const answers = await Promise.all(Array.from({ length: 4 }, () => spend(viewer, code)));
      expect(answers.toSorted()).toEqual([...Array(3).fill('BAD_USER_INPUT'), 'right']);
    }
  });

  it('does not replace the password', async () => {
    const { email, secret } = await holder('no-password');
    const { error } = await identity.ask(null, LOGIN, { input: { email, password: 'another password', code: codeOf(secret) } });
    expect(error).toMatchObject({ code: 'UNAUTHENTICATED' });
    expect((await signIn(email, codeOf(secret))).error).toBeNull(); // nor was it spent
  });

  it('is not looked at for a while after five wrong ones, but a backup code is', async () => {
    const { email, viewer, secret, codes } = await holder('guessed');
    for (let guess = 0; guess < 5; guess += 1) expect(await spend(viewer, wrongCode(secret))).toBe('BAD_USER_INPUT');
    expect((await signIn(email, codeOf(secret))).error).toMatchObject({ code: 'RATE_LIMITED', message: expect.stringContaining('30 s'), retryable: true });
    expect((await signIn(email, codes[0])).error).toBeNull();
    identity.clock.advance(30_000);
    expect(await spend(viewer, wrongCode(secret))).toBe('BAD_USER_INPUT');
    expect(await spend(viewer, codeOf(secret))).toBe('RATE_LIMITED');
    identity.clock.advance(59_999);
    expect(await spend(viewer, codeOf(secret))).toBe('RATE_LIMITED');
    identity.clock.advance(1);
    expect((await signIn(email, codeOf(secret))).error).toBeNull();
    expect(await identity.sql('SELECT failures, refused_until FROM identity.totp JOIN identity.users ON id = user_id WHERE email = $1', [email])).toEqual([{ failures: 0, refused_until: null }]);
  });

  it('is not guessed faster by many at once', async () => {
    const { viewer, secret } = await holder('crowd');
    const answers = await Promise.all(Array.from({ length: 12 }, () => spend(viewer, wrongCode(secret))));
    expect(answers.toSorted()).toEqual([...Array(5).fill('BAD_USER_INPUT'), ...Array(7).fill('RATE_LIMITED')]);
  });
});

describe('a backup code', () => {
  it('is good once, however it is typed, and its owner gets a mail', async () => {
    const { email, viewer, codes } = await holder('backs-up');
    const [first = '', second = ''] = codes;
    expect((await signIn(email, first.toUpperCase().replaceAll('-', ' '))).error).toBeNull();
    expect((await signIn(email, first)).error).toMatchObject({ code: 'UNAUTHENTICATED', field: 'code' });
    const answers = await Promise.all(Array.from({ length: 6 }, () => secondFactors.check(viewer.userId, second, { address: null, device: null })));
    expect(answers.toSorted()).toEqual(['right', ...Array(5).fill('wrong')]);
    expect(await state(viewer)).toEqual({ totpEnabled: true, backupCodesLeft: 8 });
    expect(await changes(email)).toEqual(['enabled', 'used, 9 left', 'used, 8 left']);
    expect((await mails(email)).find(({ kind }) => kind === 'backup_code_used')?.content).toMatchObject({ address: '192.0.2.1', device: 'test agent' });
  });

  it("is nobody else's", async () => {
    const [one, other] = [await holder('own-codes'), await holder('others-codes')];
    expect((await signIn(one.email, other.codes[0])).error).toMatchObject({ code: 'UNAUTHENTICATED' });
    expect((await signIn(other.email, other.codes[0])).error).toBeNull();
  });

  it('gives way to new ones', async () => {
    const { email, viewer, secret, codes } = await holder('renews');
    expect((await identity.ask(viewer, RENEW, { code: wrongCode(secret) })).error).toMatchObject({ code: 'BAD_USER_INPUT', field: 'code' });
    const { data } = await identity.ask(viewer, RENEW, { code: codes[0] });
    const renewed: string[] = data['renewBackupCodes'].codes;
    expect(renewed).toHaveLength(10);
    expect((await signIn(email, codes[1])).error).toMatchObject({ code: 'UNAUTHENTICATED' });
    expect((await signIn(email, renewed[0])).error).toBeNull();
    expect(await changes(email)).toEqual(['enabled', 'used, 9 left', 'codes_renewed', 'used, 9 left']);
  });
});

describe('taking it away', () => {
  it('needs a code, and then the password is enough again', async () => {
    const { email, viewer, secret } = await holder('disables');
    expect((await identity.ask(viewer, DISABLE, { code: wrongCode(secret) })).error).toMatchObject({ code: 'BAD_USER_INPUT', field: 'code' });
    expect(await identity.ask(viewer, DISABLE, { code: codeOf(secret) })).toEqual({ data: { disableTotp: true }, error: null });
    expect(await state(viewer)).toEqual({ totpEnabled: false, backupCodesLeft: 0 });
    expect((await signIn(email)).data['login']).toMatchObject({ secondFactorRequired: false });
    expect((await identity.ask(viewer, DISABLE, { code: codeOf(secret) })).error).toMatchObject({ code: 'INVALID_STATE' });
    expect(await changes(email)).toEqual(['enabled', 'disabled']);
    expect(await identity.sql('SELECT 1 FROM identity.backup_codes WHERE user_id = $1', [viewer.userId])).toEqual([]);
  });

  it('is for who has signed in: not for nobody, and for no API token', async () => {
    const { viewer, secret } = await holder('by-token');
    const token: Viewer = { ...viewer, scopes: ['vm:read'] };
    for (const document of [BEGIN, CONFIRM, DISABLE, RENEW]) {
      expect((await identity.ask(null, document, { code: codeOf(secret) })).error).toMatchObject({ code: 'UNAUTHENTICATED' });
      expect((await identity.ask(token, document, { code: codeOf(secret) })).error).toMatchObject({ code: 'FORBIDDEN' });
    }
    const administers: Viewer = { ...admin, scopes: ['second_factor:reset', 'second_factor:require'] };
    expect((await identity.ask(administers, RESET, { userId: viewer.userId })).error).toMatchObject({ code: 'FORBIDDEN' });
    expect((await identity.ask(administers, REQUIRE, { tenantId: tenant, roles: [] })).error).toMatchObject({ code: 'FORBIDDEN' });
    expect(await state(viewer)).toEqual({ totpEnabled: true, backupCodesLeft: 10 });
  });

  it('is an administrator’s help, too: it ends what was open, and tells the owner', async () => {
    const { email, viewer } = await holder('lost');
    const before = await eventsOf(viewer.userId, viewer.sessionId);
    const reset = () => identity.ask(tenantAdmin, RESET, { userId: viewer.userId });
    expect(await reset()).toEqual({ data: { resetSecondFactor: { id: viewer.userId, totpEnabled: false } }, error: null });
    expect((await eventsOf(viewer.userId, viewer.sessionId)).slice(before.length)).toEqual(['session.revoked', 'user.access']);
    expect((await signIn(email)).data['login']).toMatchObject({ secondFactorRequired: false });
    const after = await eventsOf(viewer.userId, viewer.sessionId);
    expect((await reset()).error).toBeNull();
    expect(await eventsOf(viewer.userId, viewer.sessionId)).toEqual(after);
    expect(await changes(email)).toEqual(['enabled', 'reset_by_administrator']);
  });

  it('is refused to who does not administer the whole account', async () => {
    const { viewer } = await holder('target');
    const stranger = await member(identity, admin, 'sfst', foreign, 'tenant_admin');
    const operator = await member(identity, admin, 'sfop', tenant, 'operator');
    const reset = async (by: Viewer | null, userId: string) => (await identity.ask(by, RESET, { userId })).error?.code ?? 'done';
    expect(await reset(null, viewer.userId)).toBe('UNAUTHENTICATED');
    expect(await reset(operator, viewer.userId)).toBe('FORBIDDEN');
    expect(await reset(stranger, viewer.userId)).toBe('NOT_FOUND');
    expect(await reset(tenantAdmin, newId())).toBe('NOT_FOUND');
    expect(await reset(tenantAdmin, 'x')).toBe('NOT_FOUND');
    const both = await makeUser(identity, admin, 'sfboth', tenant, 'viewer');
    await identity.ask(admin, 'mutation ($id: ID!, $in: ID!) { assignRole(userId: $id, role: "viewer", tenantId: $in) { id } }', { id: both, in: foreign });
    expect(await reset(tenantAdmin, both)).toBe('FORBIDDEN');
    expect(await reset(tenantAdmin, await makeUser(identity, admin, 'sfroot', tenant, 'platform_admin'))).toBe('FORBIDDEN');
    expect(await reset(admin, admin.userId)).toBe('FORBIDDEN');
    expect(await state(viewer)).toEqual({ totpEnabled: true, backupCodesLeft: 10 });
  });

  it('is told of to administrators, and not to other members', async () => {
    const { viewer } = await holder('seen');
    const operator = await member(identity, admin, 'sees', tenant, 'operator');
    const ask = (by: Viewer) => identity.ask(by, 'query ($id: ID!) { user(id: $id) { totpEnabled backupCodesLeft } }', { id: viewer.userId });
    expect((await ask(tenantAdmin)).data).toEqual({ user: { totpEnabled: true, backupCodesLeft: 10 } });
    expect((await ask(operator)).error).toMatchObject({ code: 'FORBIDDEN' });
  });
});

describe('a tenant that demands it', () => {
  const demand = (by: Viewer | null, tenantId: string, roles: string[]) => identity.ask(by, REQUIRE, { tenantId, roles });
  const current = async ({ email }: { email: string }, code?: string) => viewerOf((await signIn(email, code)).data['login'].accessToken);

  it('leaves no role to who has not shown one, at once, until it has', async () => {
    const strict = await makeTenant(identity, admin, 'strict');
    const email = 'owes@example.org';
    const viewer = await member(identity, admin, 'owes', strict, 'operator');
    const token = (await signIn(email)).data['login'].accessToken;
    const bystander = await makeUser(identity, admin, 'owes-not', strict, 'viewer');
    const before = [(await eventsOf(viewer.userId)).length, (await eventsOf(bystander)).length];

    expect((await demand(admin, strict, ['operator', 'Tenant-Admin', 'operator'])).data['requireSecondFactor'].secondFactorRoles).toEqual(['operator', 'tenant_admin']);
    expect(await viewerOf(token)).toMatchObject({ roles: [], owes: 'second_factor' });
    await demand(admin, strict, ['operator', 'tenant_admin']);
    expect([(await eventsOf(viewer.userId)).length, (await eventsOf(bystander)).length]).toEqual([before[0]! + 1, before[1]!]); // both were counted
    expect(await current({ email: 'owes-not@example.org' })).toMatchObject({ roles: [{ role: 'viewer' }] });

    const owing = await viewerOf(token);
    const { secret } = await enable(owing);
    expect(await viewerOf(token)).toMatchObject({ roles: [{ role: 'operator', tenantId: strict }] });
    expect((await viewerOf(token)).owes).toBeUndefined();
    expect((await identity.ask(owing, DISABLE, { code: codeOf(secret) })).error).toMatchObject({ code: 'INVALID_STATE' });
    expect(await current({ email }, codeOf(secret))).toMatchObject({ roles: [{ role: 'operator' }] }); // nor was it spent

    identity.clock.advance(STEP_MS);
    expect((await demand(admin, strict, [])).error).toBeNull();
    expect((await identity.ask(owing, DISABLE, { code: codeOf(secret) })).error).toBeNull();
    expect(await viewerOf(token)).toMatchObject({ roles: [{ role: 'operator' }] });
    await demand(admin, strict, ['operator']);
    expect(await viewerOf(token)).toMatchObject({ roles: [], owes: 'second_factor' }); // what was shown once is gone
  });

  it('is one of many: the setting demands it everywhere', async () => {
    const { viewer, secret } = await holder('setting', 'auditor');
    await identity.sql(`INSERT INTO identity.settings (name, value, changed_at, changed_by) VALUES ('secondFactor.roles', '["auditor"]', now(), $1)`, [admin.userId]);
    try {
      expect((await identity.ask(viewer, DISABLE, { code: codeOf(secret) })).error).toMatchObject({ code: 'INVALID_STATE' });
      await makeUser(identity, admin, 'setting-owes', tenant, 'auditor');
      expect(await current({ email: 'setting-owes@example.org' })).toMatchObject({ roles: [], owes: 'second_factor' });
    } finally {
      await identity.sql('DELETE FROM identity.settings');
    }
  });

  it('is asked by its administrators alone, for roles that there are', async () => {
    const operator = await member(identity, admin, 'sfrequire', tenant, 'operator');
    const code = async (by: Viewer | null, tenantId: string, roles: string[]) => (await demand(by, tenantId, roles)).error;
    expect(await code(null, tenant, [])).toMatchObject({ code: 'UNAUTHENTICATED' });
    expect(await code(operator, tenant, [])).toMatchObject({ code: 'FORBIDDEN' });
    expect(await code(tenantAdmin, foreign, [])).toMatchObject({ code: 'NOT_FOUND', field: 'tenantId' });
    expect(await code(admin, newId(), [])).toMatchObject({ code: 'NOT_FOUND', field: 'tenantId' });
    expect(await code(tenantAdmin, tenant, ['root'])).toMatchObject({ code: 'BAD_USER_INPUT', field: 'roles' });
    expect(await code(tenantAdmin, tenant, [])).toBeNull();
  });
});
