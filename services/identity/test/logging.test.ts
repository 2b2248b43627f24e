import { Writable } from 'node:stream';
import { pino } from 'pino';
import { expect, it } from 'vitest';
import type { Viewer } from '@novacron/contracts';
import { ADMIN, login, LOGIN, makeTenant, makeUser, PASSWORD, startIdentity } from './identity.ts';
import { startMailServer } from './mail.ts';

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

it('says what happens to people, and nothing of their links, addresses and passwords', async () => {
  const lines: string[] = [];
  const stream = new Writable({ write: (chunk, _encoding, done) => (lines.push(String(chunk)), done()) });
  const server = await startMailServer();
  const identity = await startIdentity({ logger: pino({ level: 'trace' }, stream), mail: server.options });
  try {
    await identity.service.bootstrap();
    const { viewer: admin } = await login(identity);
    const tenantId = await makeTenant(identity, admin, 'acme');
    const run = async (by: Viewer | null, source: string, variables: object = {}) => {
      const { data, error } = await identity.ask(by, source, variables);
      expect(error).toBeNull();
      return data;
    };
    const { inviteUser: invited } = await run(admin, 'mutation ($t: ID!) { inviteUser(input: { email: "ada@example.org", role: "viewer", tenantId: $t }) { id } }', { t: tenantId });
    const { token: invitation } = await server.arrived('ada@example.org');
    await run(null, 'mutation ($t: String!, $p: String!) { acceptInvitation(token: $t, password: $p) { accessToken } }', { t: invitation, p: PASSWORD });
    const { viewer: ada } = await login(identity, { email: 'ada@example.org', password: PASSWORD });
    await run(ada, 'mutation { updateProfile(input: { name: "Ada King", username: "countess" }) { id } }');
    await run(ada, 'mutation ($p: String!) { requestEmailChange(newEmail: "king@example.org", password: $p) }', { p: PASSWORD });
    const { token: change } = await server.arrived('king@example.org');
    await run(null, 'mutation ($t: String!) { confirmEmailChange(token: $t) }', { t: change });
    for (const verb of ['updateUser(input: { id: $id, name: "Lovelace" })', 'deactivateUser(id: $id)', 'reactivateUser(id: $id)', 'endSessions(userId: $id)', 'forcePasswordReset(userId: $id)', 'deleteUser(id: $id)']) {
      await run(admin, `mutation ($id: ID!) { ${verb} { id } }`, { id: invited.id });
    }
    const told = lines.map((line) => JSON.parse(line).msg);
    const once = ['user invited', 'invitation accepted', 'profile updated', 'change of address asked for', 'address changed', 'user updated', 'user deactivated', 'user reactivated', 'sessions ended', 'new password demanded', 'user deleted'];
    expect(told.filter((msg) => once.includes(msg))).toEqual(once);
    for (const secret of [PASSWORD, invitation, change, 'ada@', 'king@', 'Lovelace', 'countess']) expect(lines.join('')).not.toContain(secret);
  } finally {
    await identity.close();
    await server.stop();
  }
});
