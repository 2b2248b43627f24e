import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Viewer } from '@novacron/contracts';
import { login, LOGIN, makeTenant, makeUser, PASSWORD, startIdentity, type TestIdentity } from './identity.ts';
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

const force = (id: string) => identity.ask(admin, 'mutation ($id: ID!) { forcePasswordReset(userId: $id) { id } }', { id });

describe('forcePasswordReset', () => {
  it('ends the sessions, and leaves no way in but the link that it mails', async () => {
    const email = 'somebody@example.org';
    const id = await makeUser(identity, admin, 'somebody', acme, 'operator');
    const before = await login(identity, { email, password: PASSWORD });
    expect((await force(id)).error).toBeNull();
    await expect(identity.service.authenticator.authenticate(before.accessToken, null)).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
    expect((await identity.ask(null, LOGIN, { email, password: PASSWORD })).error).toMatchObject({ code: 'UNAUTHENTICATED' });
    expect((await identity.ask(before.viewer, 'mutation { addSshKey(input: { publicKey: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ4t1MfUuYEwhZcQhPZGo1h2n6ZtFhRMkqgWzQ0qgVxL" }) { id } }')).error).toMatchObject({ code: 'UNAUTHENTICATED' });
    expect((await identity.ask(before.viewer, 'mutation { beginTotp { secret } }')).error).toMatchObject({ code: 'UNAUTHENTICATED' });
    const { token } = await server.arrived(email, /new password/);
    const { error } = await identity.ask(null, 'mutation ($t: String!) { resetPassword(token: $t, newPassword: "another fine password") { accessToken } }', { t: token });
    expect(error).toBeNull();
    expect((await login(identity, { email, password: 'another fine password' })).viewer.roles).toEqual([{ role: 'operator', tenantId: acme }]);
  });

  it('leaves nothing but the change of the password to who is sent no mail', async () => {
    const { data } = await identity.ask(null, 'mutation { register(input: { email: "unmailed@example.org", password: "a stranger chose this", name: "n" }) { user { id } } }');
    const { id } = data['register'].user;
    await identity.sql("INSERT INTO identity.role_assignments (user_id, tenant_id, role) VALUES ($1, $2, 'operator')", [id, acme]);
    expect((await force(id)).error).toBeNull();
    const { viewer } = await login(identity, { email: 'unmailed@example.org', password: 'a stranger chose this' });
    expect(viewer).toMatchObject({ roles: [], owes: 'new_password' });
    const owed = { code: 'FORBIDDEN', message: expect.stringContaining('changePassword') };
    for (const asked of [
      'updateProfile(input: { name: "Sly" }) { id }',
      'addSshKey(input: { publicKey: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ4t1MfUuYEwhZcQhPZGo1h2n6ZtFhRMkqgWzQ0qgVxL" }) { id }',
      `removeSshKey(id: "${id}")`,
      'createApiToken(input: { name: "x", scopes: ["vm:read"] }) { secret }',
      'beginTotp { secret }',
      'confirmTotp(code: "000000") { codes }',
      'disableTotp(code: "000000")',
      'renewBackupCodes(code: "000000") { codes }',
    ]) {
      expect([asked, (await identity.ask(viewer, `mutation { ${asked} }`)).error]).toMatchObject([asked, owed]);
    }
    const change = 'mutation { changePassword(currentPassword: "a stranger chose this", newPassword: "another fine password") }';
    expect((await identity.ask(viewer, change)).error).toBeNull();
    expect((await login(identity, { email: 'unmailed@example.org', password: 'another fine password' })).viewer.roles).toMatchObject([{ role: 'operator' }]);
  });
});
