import { Secret, TOTP } from 'otpauth';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Viewer } from '@novacron/contracts';
import type { MailKind } from '../src/mail/mails.ts';
import { login, LOGIN, makeTenant, makeUser, member, PASSWORD, startIdentity, type TestIdentity } from './identity.ts';
import { startMailServer, type TestMailServer } from './mail.ts';
import { BEGIN, CONFIRM, DISABLE, RENEW, RESET } from './second-factor.ts';

const ELSEWHERE = { address: '203.0.113.7', userAgent: 'Firefox at http://evil.example' };
const REGISTER = 'mutation ($input: RegisterInput!) { register(input: $input) { accessToken } }';
let server: TestMailServer;
let identity: TestIdentity;
let admin: Viewer;
let tenant: string;

beforeAll(async () => {
  server = await startMailServer();
  identity = await startIdentity({ mail: server.options });
  await identity.service.bootstrap();
  admin = (await login(identity)).viewer;
  tenant = await makeTenant(identity, admin, 'acme');
});
afterAll(async () => {
  await identity?.close();
  await server?.stop();
});

/** Asks for what must be granted. */
async function ask(viewer: Viewer | null, source: string, variables: object, origin = {}) {
  const { data, error } = await identity.ask(viewer, source, variables, origin);
  if (error) throw new Error(error.message);
  return data;
}

/** Somebody who has a second factor, with a code that is good now and backup codes. */
async function withSecondFactor(name: string) {
  const viewer = await member(identity, admin, name, tenant, 'operator');
  const { secret } = (await ask(viewer, BEGIN, {}))['beginTotp'];
  const codeNow = () => new TOTP({ secret: Secret.fromBase32(secret) }).generate({ timestamp: identity.clock.now().getTime() });
  const { codes } = (await ask(viewer, CONFIRM, { code: codeNow() }))['confirmTotp'];
  identity.clock.advance(30_000);
  return { viewer, code: codeNow(), codes };
}

interface Occasion {
  kind: MailKind;
  subject: string;
  /** What the mail says, beside its subject. */
  says: RegExp;
  /** Lets it happen to `<name>@example.org`. */
  happens(name: string): Promise<unknown>;
  /** Who is told, when it is another address. */
  told?(name: string): string;
  links?: true;
}

const OCCASIONS: Occasion[] = [
  { kind: 'verify_email', subject: 'Confirm your e-mail address', says: /with this address/, links: true, happens: (name) => ask(null, REGISTER, { input: { email: `${name}@example.org`, name, password: PASSWORD } }) },
  {
    kind: 'already_registered',
    subject: 'You have an account already',
    says: /Address: 203\.0\.113\.7/,
    async happens(name) {
      await makeUser(identity, admin, name, tenant, 'viewer');
      await ask(null, REGISTER, { input: { email: `${name}@example.org`, name, password: PASSWORD } }, ELSEWHERE);
    },
  },
  {
    kind: 'reset_password',
    subject: 'Choose a new password',
    says: /works once/,
    links: true,
    async happens(name) {
      await makeUser(identity, admin, name, tenant, 'viewer');
      await ask(null, 'mutation ($email: String!) { requestPasswordReset(email: $email) }', { email: `${name}@example.org` });
    },
  },
  {
    kind: 'password_changed',
    subject: 'Your password was changed',
    says: /Address: 192\.0\.2\.1/,
    happens: async (name) =>
      ask(await member(identity, admin, name, tenant, 'viewer'), 'mutation ($old: String!, $new: String!) { changePassword(currentPassword: $old, newPassword: $new) }', { old: PASSWORD, new: `${PASSWORD} again` }),
  },
  {
    kind: 'invitation',
    subject: 'You are invited to NovaCron',
    says: /to the tenant acme/,
    links: true,
    happens: (name) => ask(admin, 'mutation ($input: InviteUserInput!) { inviteUser(input: $input) { id } }', { input: { email: `${name}@example.org`, name, role: 'viewer', tenantId: tenant } }),
  },
  {
    kind: 'change_email',
    subject: 'Confirm your new e-mail address',
    says: /./,
    links: true,
    told: (name) => `${name}-new@example.org`,
    happens: async (name) =>
      ask(await member(identity, admin, name, tenant, 'viewer'), 'mutation ($email: String!, $password: String!) { requestEmailChange(newEmail: $email, password: $password) }', { email: `${name}-new@example.org`, password: PASSWORD }),
  },
  {
    kind: 'email_changed',
    subject: 'The e-mail address of your account was changed',
    says: /./,
    async happens(name) {
      const viewer = await member(identity, admin, name, tenant, 'viewer');
      await ask(viewer, 'mutation ($email: String!, $password: String!) { requestEmailChange(newEmail: $email, password: $password) }', { email: `${name}-new@example.org`, password: PASSWORD });
      const { token } = await server.arrived(`${name}-new@example.org`);
      await ask(null, 'mutation ($token: String!) { confirmEmailChange(token: $token) }', { token });
    },
  },
  {
    kind: 'new_device',
    subject: 'A new device signed in to your account',
    says: /Address: 203\.0\.113\.7\nDevice: Firefox at http evil example/,
    async happens(name) {
      await member(identity, admin, name, tenant, 'viewer');
      await ask(null, LOGIN, { email: `${name}@example.org`, password: PASSWORD }, ELSEWHERE);
    },
  },
  { kind: 'second_factor_changed', subject: 'Your account has a second factor now', says: /takes a code/, happens: withSecondFactor },
  {
    kind: 'second_factor_changed',
    subject: 'Your account has no second factor any more',
    says: /alone signs in/,
    async happens(name) {
      const { viewer, code } = await withSecondFactor(name);
      await ask(viewer, DISABLE, { code });
    },
  },
  {
    kind: 'second_factor_changed',
    subject: 'Your backup codes were replaced',
    says: /no longer taken/,
    async happens(name) {
      const { viewer, code } = await withSecondFactor(name);
      await ask(viewer, RENEW, { code });
    },
  },
  {
    kind: 'second_factor_changed',
    subject: 'Your second factor was reset',
    says: /administrator/,
    happens: async (name) => ask(admin, RESET, { userId: (await withSecondFactor(name)).viewer.userId }),
  },
  {
    kind: 'backup_code_used',
    subject: 'A backup code was used',
    says: /9 are left/,
    async happens(name) {
      const { codes } = await withSecondFactor(name);
      await ask(null, 'mutation ($input: LoginInput!) { login(input: $input) { accessToken } }', { input: { email: `${name}@example.org`, password: PASSWORD, code: codes[0] } });
    },
  },
  {
    kind: 'api_token_created',
    subject: 'An API token was made',
    says: /Name: nightly backup\nBegins with: nc_[\w-]{6}\nWhen: .*\nAddress: 192\.0\.2\.1/,
    happens: async (name) =>
      ask(await member(identity, admin, name, tenant, 'viewer'), 'mutation { createApiToken(input: { name: "nightly backup", scopes: ["vm:read"] }) { secret } }', {}),
  },
  {
    kind: 'quota_near_end',
    subject: 'The quota of full is nearly used up',
    says: /Resource: VMs\nUsed: 9\nLimit: 10/,
    async happens(name) {
      const full = await makeTenant(identity, admin, 'full');
      await makeUser(identity, admin, name, full, 'tenant_admin');
      await identity.sql('SELECT operations.set_quota($1::uuid, $2::jsonb)', [full, JSON.stringify({ vms: 10 })]);
      await identity.sql('UPDATE operations.quota SET used_vms = 9 WHERE tenant_id = $1', [full]);
      identity.another().start();
    },
  },
];

it('every kind of mail has an occasion', () => {
  const kinds: Record<MailKind, true> = {
    ...{ verify_email: true, already_registered: true, reset_password: true, password_changed: true, invitation: true, change_email: true },
    ...{ email_changed: true, new_device: true, second_factor_changed: true, backup_code_used: true, api_token_created: true, quota_near_end: true },
  };
  expect([...new Set(OCCASIONS.map(({ kind }) => kind))].toSorted()).toEqual(Object.keys(kinds).toSorted());
});

it.each(OCCASIONS.map((occasion, index) => [occasion.subject, `person${index}`, occasion] as const))('%s', async (subject, name, { happens, says, links, told }) => {
  await happens(name);
  const mail = await server.arrived(told?.(name) ?? `${name}@example.org`, subject);
  expect(mail.text).toMatch(says);
  expect(mail.html).toContain('</html>');
  expect(mail.token === null).toBe(links !== true);
  expect(mail.text + mail.html).not.toContain(PASSWORD);
});
