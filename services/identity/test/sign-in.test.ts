import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ADMIN, LOGIN, login, startIdentity, type TestIdentity } from './identity.ts';

let identity: TestIdentity;
beforeAll(async () => {
  identity = await startIdentity();
  await identity.service.bootstrap();
});
afterAll(() => identity?.close());

const WRONG = { code: 'UNAUTHENTICATED', message: 'The e-mail address or the password is wrong.', retryable: false };
const REFRESH = 'mutation ($token: String!) { refreshSession(refreshToken: $token) { accessToken refreshToken expiresAt user { email } } }';
const refresh = (token: string, origin = {}) => identity.ask(null, REFRESH, { token }, origin);
const authenticate = (token: string) => identity.service.authenticator.authenticate(token, null);
const sessionEvents = async (sessionId: string) => (await identity.events()).filter((event) => event.entityId === sessionId);

describe('login', () => {
  it('gives tokens, and the user as it sees itself', async () => {
    const { data, error } = await identity.ask(
      null,
      `mutation { login(input: { email: " ADMIN@example.org", password: "${ADMIN.password}", code: "123456" }) {
        accessToken refreshToken expiresAt secondFactorRequired
        user { email emailVerified totpEnabled roles { role tenant { name } } permissions sessions { current address device } } } }`,
      {},
      { userAgent: 'test\u0000 agent/1.0' },
    );
    expect(error).toBeNull();
    const { accessToken, refreshToken, ...rest } = data['login'];
    expect(refreshToken).toMatch(/^[\w-]{43}$/);
    expect(rest).toMatchObject({
      expiresAt: '2026-11-20T09:10:00.000Z',
      secondFactorRequired: false,
      user: {
        email: ADMIN.email,
        emailVerified: false,
        totpEnabled: false,
        roles: [{ role: 'platform_admin', tenant: { name: 'default' } }],
        sessions: [{ current: true, address: '192.0.2.1', device: 'test agent/1.0' }],
      },
    });
    expect(rest.user.permissions).toContain('tenant:create');
    const { viewer, expiresAt } = await authenticate(accessToken);
    expect(viewer.roles).toMatchObject([{ role: 'platform_admin' }]);
    expect(expiresAt.toISOString()).toBe('2026-11-20T09:10:00.000Z');
  });

  it.each([
    ['a wrong password', { ...ADMIN, password: 'wrong password' }],
    ['an unknown address', { ...ADMIN, email: 'nobody@example.org' }],
    ['what is no address', { ...ADMIN, email: 'nobody\u0000' }],
    ['nothing', { email: '', password: '' }],
  ])('refuses %s in the same words', async (_what, credentials) => {
    expect((await identity.ask(null, LOGIN, credentials)).error).toEqual(WRONG);
  });

  it('refuses a deactivated account, and ends what it has open', async () => {
    const { accessToken, refreshToken } = await login(identity);
    await identity.sql('UPDATE identity.users SET deactivated_at = now() WHERE email = $1', [ADMIN.email]);
    try {
      expect((await identity.ask(null, LOGIN, ADMIN)).error).toEqual(WRONG);
      await expect(authenticate(accessToken)).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
      expect((await refresh(refreshToken)).error).toMatchObject({ code: 'UNAUTHENTICATED' });
    } finally {
      await identity.sql('UPDATE identity.users SET deactivated_at = NULL');
    }
  });

  it('forgets the sessions of the user that are past their lifetime', async () => {
    const { viewer } = await login(identity);
    identity.clock.advance(30 * 24 * 3_600_000);
    await login(identity);
    expect(await identity.sql('SELECT 1 FROM identity.sessions WHERE id = $1', [viewer.sessionId])).toEqual([]);
  });
});

describe('refreshSession', () => {
  it('gives new tokens for the same session and remembers where it is', async () => {
    const first = await login(identity);
    identity.clock.advance(60_000);
    const { data, error } = await refresh(first.refreshToken, { address: '198.51.100.7' });
    expect(error).toBeNull();
    const { accessToken, refreshToken, user } = data['refreshSession'];
    expect(user.email).toBe(ADMIN.email);
    expect(refreshToken).not.toBe(first.refreshToken);
    expect((await authenticate(accessToken)).viewer.sessionId).toBe(first.viewer.sessionId);
    const [session] = await identity.sql('SELECT address, last_used_at FROM identity.sessions WHERE id = $1', [first.viewer.sessionId]);
    expect(session).toEqual({ address: '198.51.100.7', last_used_at: identity.clock.now() });
    expect((await refresh(refreshToken)).error).toBeNull();
  });

  it('ends the whole family when a token comes back', async () => {
    const first = await login(identity);
    const second = (await refresh(first.refreshToken)).data['refreshSession'];
    const stolen = await refresh(first.refreshToken);
    expect(stolen.error).toMatchObject({ code: 'UNAUTHENTICATED' });
    expect((await refresh(second.refreshToken)).error).toMatchObject({ code: 'UNAUTHENTICATED' });
    await expect(authenticate(second.accessToken)).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
    const { sessionId, userId } = first.viewer;
    await refresh(first.refreshToken);
    expect(await sessionEvents(sessionId)).toEqual([
      { type: 'session.revoked', entityId: sessionId, tenantId: null, body: { after: { userId } } },
    ]);
  });

  it('knows the last thousand of a session again, and refuses older ones without ending it', async () => {
    const { refreshToken: oldest, viewer } = await login(identity);
    const second = (await refresh(oldest)).data['refreshSession'].refreshToken;
    await identity.sql(
      `INSERT INTO identity.refresh_tokens (id, session_id, token_hash, created_at, expires_at, used_at)
       SELECT gen_random_uuid(), $1::uuid, sha256(convert_to($1::text || n, 'UTF8')), $2::timestamptz, $2::timestamptz + interval '1 day', $2::timestamptz + interval '1 ms' FROM generate_series(1, 1500) AS n`,
      [viewer.sessionId, identity.clock.now()],
    );
    identity.clock.advance(1_000);
    const third = (await refresh(second)).data['refreshSession'].refreshToken;
    const used = 'SELECT count(*)::int AS count FROM identity.refresh_tokens WHERE session_id = $1 AND used_at IS NOT NULL';
    expect(await identity.sql(used, [viewer.sessionId])).toEqual([{ count: 1_000 }]);
    expect((await refresh(oldest)).error).toMatchObject({ code: 'UNAUTHENTICATED' });
    const fourth = (await refresh(third)).data['refreshSession'].refreshToken;
    expect((await refresh(second)).error).toMatchObject({ code: 'UNAUTHENTICATED' });
    expect((await refresh(fourth)).error).toMatchObject({ code: 'UNAUTHENTICATED' });
  });

  it('lets one of two at once win, and then ends the family', async () => {
    for (let round = 0; round < 10; round += 1) {
      const { refreshToken, viewer } = await login(identity);
      const answers = await Promise.all([refresh(refreshToken), refresh(refreshToken)]);
      const won = answers.filter((answer) => answer.error === null);
      expect(won).toHaveLength(1);
      expect((await refresh(won[0]?.data['refreshSession'].refreshToken)).error).toMatchObject({ code: 'UNAUTHENTICATED' });
      expect(await sessionEvents(viewer.sessionId)).toHaveLength(1);
    }
  });

  it('ends with the session, however often it was used', async () => {
    let { refreshToken } = await login(identity);
    for (let day = 0; day < 29; day += 1) {
      identity.clock.advance(24 * 3_600_000);
      refreshToken = (await refresh(refreshToken)).data['refreshSession'].refreshToken;
    }
    identity.clock.advance(24 * 3_600_000);
    expect((await refresh(refreshToken)).error).toMatchObject({ code: 'UNAUTHENTICATED' });
  });

  it.each(['', 'unknown', 'x'.repeat(1_000), '\u0000'])('refuses %j', async (token) => {
    expect((await refresh(token)).error).toMatchObject({ code: 'UNAUTHENTICATED', message: expect.stringContaining('sign in again') });
  });

  it('stores no token, only its hash', async () => {
    const { refreshToken } = await login(identity);
    const rows = await identity.sql('SELECT token_hash::text AS hash FROM identity.refresh_tokens');
    expect(rows.some(({ hash }) => hash.includes(Buffer.from(refreshToken).toString('hex')))).toBe(false);
    expect(rows.every(({ hash }) => /^\\x[0-9a-f]{64}$/.test(hash))).toBe(true);
  });
});

describe('logout', () => {
  it('ends the session, once', async () => {
    const { viewer, accessToken, refreshToken } = await login(identity);
    const other = await login(identity);
    expect(await identity.ask(viewer, 'mutation { logout }')).toEqual({ data: { logout: true }, error: null });
    expect(await identity.ask(viewer, 'mutation { logout }')).toEqual({ data: { logout: true }, error: null });
    await expect(authenticate(accessToken)).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
    expect((await refresh(refreshToken)).error).toMatchObject({ code: 'UNAUTHENTICATED' });
    expect(await sessionEvents(viewer.sessionId)).toHaveLength(1);
    expect((await authenticate(other.accessToken)).viewer.sessionId).toBe(other.viewer.sessionId);
  });

  it('needs somebody', async () => {
    expect((await identity.ask(null, 'mutation { logout }')).error).toMatchObject({ code: 'UNAUTHENTICATED' });
  });
});
