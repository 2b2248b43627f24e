import { Secret, TOTP } from 'otpauth';
import type { Viewer } from '@novacron/contracts';
import { secretsOf } from '@novacron/secrets';
import { login, makeTenant, member, PASSWORD, startIdentity, type Answer, type TestIdentity } from './identity.ts';

export const BEGIN = 'mutation ($password: String) { beginTotp(password: $password) { secret otpauthUri qrCodeSvg } }';
export const CONFIRM = 'mutation ($code: String!) { confirmTotp(code: $code) { codes } }';
export const DISABLE = 'mutation ($code: String!) { disableTotp(code: $code) }';
export const RENEW = 'mutation ($code: String!) { renewBackupCodes(code: $code) { codes } }';
export const RESET = 'mutation ($userId: ID!) { resetSecondFactor(userId: $userId) { id totpEnabled } }';
export const REQUIRE = 'mutation ($tenantId: ID!, $roles: [String!]!) { requireSecondFactor(tenantId: $tenantId, roles: $roles) { id secondFactorRoles } }';
const LOGIN = 'mutation ($input: LoginInput!) { login(input: $input) { accessToken refreshToken secondFactorRequired user { id } } }';

export const STEP_MS = 30_000;

export interface Holder {
  email: string;
  viewer: Viewer;
  secret: string;
  codes: string[];
}

export interface SecondFactorKit {
  identity: TestIdentity;
  admin: Viewer;
  /** acme, its administrator, and another tenant. */
  tenant: string;
  tenantAdmin: Viewer;
  foreign: string;
  /** What an authenticator shows now, or would if its clock were so many steps off. */
  codeOf(secret: string, drift?: number): string;
  wrongCode(secret: string): string;
  // oxlint-disable-next-line typescript/no-explicit-any -- answers have the shape of the query
  signIn(email: string, code?: string, password?: string): Promise<Answer<Record<string, any>>>;
  viewerOf(token: string): Promise<Viewer>;
  /** A new member of acme who has set up its second factor; its next code is a fresh one. */
  holder(name: string, role?: string): Promise<Holder>;
  enable(viewer: Viewer): Promise<{ secret: string; codes: string[] }>;
  mails(email: string): Promise<{ kind: string; content: Record<string, unknown> }[]>;
  /** What those mails tell of second factors. */
  changes(email: string): Promise<unknown[]>;
  eventsOf(...ids: string[]): Promise<string[]>;
  state(viewer: Viewer): Promise<{ totpEnabled: boolean; backupCodesLeft: number }>;
}

export async function startSecondFactors(): Promise<SecondFactorKit> {
  const identity = await startIdentity();
  await identity.service.bootstrap();
  const admin = (await login(identity)).viewer;
  const tenant = await makeTenant(identity, admin, 'acme');
  const foreign = await makeTenant(identity, admin, 'globex');
  const tenantAdmin = await member(identity, admin, 'ta', tenant, 'tenant_admin');

  const codeOf = (secret: string, drift = 0): string =>
    new TOTP({ secret: Secret.fromBase32(secret) }).generate({ timestamp: identity.clock.now().getTime() + drift * STEP_MS });

  async function enable(viewer: Viewer): Promise<{ secret: string; codes: string[] }> {
    const { secret } = (await identity.ask(viewer, BEGIN)).data['beginTotp'];
    const { data, error } = await identity.ask(viewer, CONFIRM, { code: codeOf(secret) });
    if (error) throw new Error(error.message);
    identity.clock.advance(STEP_MS);
    return { secret, codes: data['confirmTotp'].codes };
  }

  async function mails(email: string) {
    const secrets = secretsOf(identity.masterKey);
    const rows = await identity.sql('SELECT id, kind, content, key_id FROM identity.mails WHERE recipient = $1 ORDER BY id', [email]);
    return rows.map(({ id, kind, content, key_id: keyId }) => ({ kind, content: JSON.parse(secrets.open({ sealed: content, keyId }, `mail:${id}`).toString()) }));
  }

  return {
    identity,
    admin,
    tenant,
    tenantAdmin,
    foreign,
    codeOf,
    enable,
    mails,
    wrongCode(secret) {
      const right = new Set([-1, 0, 1].map((drift) => codeOf(secret, drift)));
      return ['000000', '111111', '222222', '333333'].find((code) => !right.has(code)) ?? ''; // three of four at most are right
    },
    signIn: (email, code, password = PASSWORD) => identity.ask(null, LOGIN, { input: { email, password, code } }, { userAgent: 'test agent' }),
    viewerOf: async (token) => (await identity.service.authenticator.authenticate(token, null)).viewer,
    async holder(name, role = 'operator') {
      const viewer = await member(identity, admin, name, tenant, role);
      return { email: `${name}@example.org`, viewer, ...(await enable(viewer)) };
    },
    changes: async (email) =>
      (await mails(email)).flatMap(({ kind, content }) => (kind === 'second_factor_changed' ? [content['change']] : kind === 'backup_code_used' ? [`used, ${content['left']} left`] : [])),
    eventsOf: async (...ids) => (await identity.events()).filter(({ entityId }) => ids.includes(entityId)).map(({ type }) => type),
    state: async (viewer) => (await identity.ask(viewer, '{ me { totpEnabled backupCodesLeft } }')).data['me'],
  };
}
