import { Writable } from 'node:stream';
import { pino } from 'pino';
import { expect, it } from 'vitest';
import { ADMIN, login, LOGIN, makeTenant, makeUser, PASSWORD, startIdentity } from './identity.ts';

it('says each change once, with its request, and no secret', async () => {
  const lines: string[] = [];
  const stream = new Writable({ write: (chunk, _encoding, done) => (lines.push(String(chunk)), done()) });
  const identity = await startIdentity({ logger: pino(stream) });
  try {
    await identity.service.bootstrap();
    const { viewer, accessToken, refreshToken } = await login(identity);
    const tenantId = await makeTenant(identity, viewer, 'acme');
    const userId = await makeUser(identity, viewer, 'ada', tenantId, 'viewer');
    await identity.ask(viewer, 'mutation ($u: ID!, $t: ID!) { assignRole(userId: $u, tenantId: $t, role: "operator") { id } }', { u: userId, t: tenantId });
    await identity.ask(null, LOGIN, { ...ADMIN, password: 'a wrong password' });
    for (let times = 0; times < 2; times += 1) {
      await identity.ask(null, 'mutation ($t: String!) { refreshSession(refreshToken: $t) { accessToken } }', { t: refreshToken });
    }
    await identity.ask(viewer, 'mutation { logout }');
    await identity.service.rotateSigningKey();
    const entries = lines.map((line) => JSON.parse(line));
    expect(entries.map(({ msg }) => msg)).toEqual([
      'first administrator created',
      'signed in',
      'tenant created',
      'user created',
      'role assigned',
      'sign-in refused',
      'session revoked: a refresh token came back',
      'signed out',
      'signing key rotated',
    ]);
    expect(entries.slice(1, -1).every(({ requestId }) => requestId === 'test')).toBe(true);
    for (const secret of [ADMIN.password, PASSWORD, 'a wrong password', accessToken, refreshToken]) {
      expect(lines.join('')).not.toContain(secret);
    }
  } finally {
    await identity.close();
  }
});
