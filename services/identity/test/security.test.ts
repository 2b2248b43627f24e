import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Viewer } from '@novacron/contracts';
import { newId } from '@novacron/core';
import { eventually } from '@novacron/testkit';
import { login, LOGIN, makeTenant, makeUser, member, startIdentity, type TestIdentity } from './identity.ts';

const DAY_MS = 24 * 60 * 60_000;
let identity: TestIdentity;
let admin: Viewer;
let tenant: string;
let foreign: string;
let tenantAdmin: Viewer;
let auditor: Viewer;
let operator: Viewer;
let stranger: Viewer;
/** In both tenants. */
let both: string;

beforeAll(async () => {
  identity = await startIdentity();
  await identity.service.bootstrap();
  admin = (await login(identity)).viewer;
  tenant = await makeTenant(identity, admin, 'acme');
  foreign = await makeTenant(identity, admin, 'globex');
  tenantAdmin = await member(identity, admin, 'ta', tenant, 'tenant_admin');
  auditor = await member(identity, admin, 'au', tenant, 'auditor');
  operator = await member(identity, admin, 'op', tenant, 'operator');
  stranger = await member(identity, admin, 'st', foreign, 'tenant_admin');
  both = await makeUser(identity, admin, 'both', tenant, 'viewer');
  await assign(both, 'viewer', foreign);
});
afterAll(() => identity?.close());

const assign = (userId: string, role: string, tenantId: string) =>
  identity.ask(admin, 'mutation ($userId: ID!, $role: String!, $tenantId: ID!) { assignRole(userId: $userId, role: $role, tenantId: $tenantId) { id } }', { userId, role, tenantId });
const look = async (viewer: Viewer | null, fields: string, tenantId?: string) => {
  const { data, error } = await identity.ask(viewer, `query ($tenantId: ID) { security(tenantId: $tenantId) { ${fields} } }`, { tenantId });
  if (error !== null) throw new Error(`${error.code} ${error.field ?? ''}`.trim());
  return data['security'];
};
type Edges = { edges: { node: { [name: string]: unknown; user: { id: string } | null } }[] };
const nodes = ({ edges }: Edges) => edges.map(({ node }) => node);

/** What happened at sign-ins, as the tables have it. */
const attempt = (userId: string | null, outcome: string, at = identity.clock.now()) =>
  identity.sql("INSERT INTO identity.sign_in_attempts (id, user_id, account, outcome, address, device, at) VALUES ($1, $2, '\\x00', $3::identity.sign_in_outcome, '203.0.113.7', 'Firefox', $4)", [newId<string>(), userId, outcome, at]);

describe('security', () => {
  it('is for who looks after it, and of a tenant for its own alone', async () => {
    const fields = 'lockedAccounts { refused }';
    await expect(look(null, fields)).rejects.toThrow('UNAUTHENTICATED');
    await expect(look(operator, fields)).rejects.toThrow('FORBIDDEN');
    await expect(look(operator, fields, tenant)).rejects.toThrow('FORBIDDEN');
    await expect(look(tenantAdmin, fields, foreign)).rejects.toThrow('NOT_FOUND tenantId');
    await expect(look(admin, fields, 'no id')).rejects.toThrow('NOT_FOUND tenantId');
    for (const viewer of [admin, tenantAdmin, auditor]) {
      expect(await look(viewer, fields)).toEqual({ lockedAccounts: [] });
      expect(await look(viewer, fields, tenant)).toEqual({ lockedAccounts: [] });
    }
  });
});

it('answers what the manual asks', async () => {
  const manual = readFileSync(new URL('../../../docs/operations.md', import.meta.url), 'utf8');
  const [, question = ''] = /```graphql\n(\{\n  security [^`]*)```/.exec(manual) ?? [];
  const { data, error } = await identity.ask(tenantAdmin, question);
  expect(error).toBeNull();
  expect(Object.keys(data['security'])).toEqual(['lockedAccounts', 'failedLogins', 'usersWithoutSecondFactor', 'expiringTokens', 'roleChanges', 'signingKeys']);
});

describe('sign-ins', () => {
  const FAILED = 'failedLogins { totalCount edges { node { outcome knownDevice address device at user { id } } } }';
  const LOCKED = 'lockedAccounts { refused lastAt user { id } }';

  beforeAll(async () => {
    await attempt(operator.userId, 'succeeded');
    await attempt(operator.userId, 'wrong_password');
    for (let times = 0; times < 3; times += 1) await attempt(operator.userId, 'locked');
    await attempt(both, 'locked');
    await attempt(stranger.userId, 'locked', new Date(identity.clock.now().getTime() - DAY_MS));
    await attempt(null, 'wrong_password');
    await attempt(null, 'locked');
  });
  afterAll(() => identity.sql('DELETE FROM identity.sign_in_attempts'));

  it('that failed are shown to the platform, also those at accounts that nobody has', async () => {
    const { failedLogins } = await look(admin, FAILED);
    expect(failedLogins.totalCount).toBe(8);
    expect(nodes(failedLogins).filter(({ user }) => user === null)).toHaveLength(2);
    expect(nodes(failedLogins)).toContainEqual({ outcome: 'wrong_password', knownDevice: false, address: '203.0.113.7', device: 'Firefox', at: identity.clock.now().toISOString(), user: { id: operator.userId } });
  });

  it.each(['tenantAdmin', 'auditor'])('that failed are shown to %s for its tenant; from where only of whom is in no other', async (name) => {
    const { failedLogins } = await look(name === 'auditor' ? auditor : tenantAdmin, FAILED);
    expect(failedLogins.totalCount).toBe(5);
    const from = (id: string) => nodes(failedLogins).filter(({ user }) => user?.id === id).map(({ address, device }) => [address, device]);
    expect(from(operator.userId)).toEqual(Array.from({ length: 4 }, () => ['203.0.113.7', 'Firefox']));
    expect(from(both)).toEqual([[null, null]]);
  });

  it('that failed just now are there, with what came of each', async () => {
    const id = await makeUser(identity, admin, 'guessed', tenant, 'viewer');
    const outcomes = async () => nodes((await look(tenantAdmin, FAILED)).failedLogins).filter(({ user }) => user?.id === id).map(({ outcome }) => outcome);
    const seen = (outcome: string) =>
      eventually(outcome, async () => {
        await identity.ask(null, LOGIN, { email: 'guessed@example.org', password: 'a wrong password' });
        return (await outcomes()).includes(outcome);
      });
    await seen('wrong_password');
    await seen('locked');
    expect((await look(tenantAdmin, LOCKED)).lockedAccounts).toContainEqual({ refused: expect.any(Number), lastAt: identity.clock.now().toISOString(), user: { id } });
    await identity.sql('DELETE FROM identity.sign_in_attempts WHERE user_id = $1', [id]);
    await identity.sql('DELETE FROM identity.users WHERE id = $1', [id]);
  });

  it('come a page at a time', async () => {
    const page = async (after: string | null) =>
      (await identity.ask(admin, 'query ($after: String) { security { failedLogins(first: 3, after: $after) { pageInfo { hasNextPage endCursor } edges { node { id } } } } }', { after })).data['security'].failedLogins;
    const seen: string[] = [];
    for (let after: string | null = null, more = true; more; ) {
      const { pageInfo, edges } = await page(after);
      seen.push(...edges.map(({ node }: { node: { id: string } }) => node.id));
      after = pageInfo.endCursor;
      more = pageInfo.hasNextPage;
    }
    expect(seen).toEqual(seen.toSorted().toReversed());
    expect(new Set(seen).size).toBe(8);
  });

  it('that were refused unread lock accounts for who looks', async () => {
    const lastAt = identity.clock.now().toISOString();
    const mine = [{ refused: 3, lastAt, user: { id: operator.userId } }, { refused: 1, lastAt, user: { id: both } }];
    expect((await look(admin, LOCKED)).lockedAccounts).toEqual(mine);
    expect((await look(tenantAdmin, LOCKED)).lockedAccounts).toEqual(mine);
    expect((await look(stranger, LOCKED)).lockedAccounts).toEqual(mine.slice(1));
  });
});

describe('people without a second factor', () => {
  const WITHOUT = 'usersWithoutSecondFactor { totalCount edges { node { id } } }';
  const without = async (viewer: Viewer, tenantId?: string) => (await look(viewer, WITHOUT, tenantId)).usersWithoutSecondFactor.edges.map(({ node }: { node: { id: string } }) => node.id);

  it('are those who can sign in and have confirmed none', async () => {
    const at = identity.clock.now();
    const totp = (userId: string, confirmedAt: Date | null) =>
      identity.sql("INSERT INTO identity.totp (user_id, secret, key_id, created_at, confirmed_at) VALUES ($1, '\\x00', 'none', $2, $3)", [userId, at, confirmedAt]);
    await totp(operator.userId, at);
    await totp(auditor.userId, null);
    const gone = await makeUser(identity, admin, 'gone', tenant, 'viewer');
    await identity.sql('UPDATE identity.users SET deactivated_at = $2 WHERE id = $1', [gone, at]);
    expect(await without(tenantAdmin)).toEqual([tenantAdmin.userId, auditor.userId, both]);
    expect(await without(admin, foreign)).toEqual([stranger.userId, both]);
    expect(await without(admin)).toEqual([admin.userId, tenantAdmin.userId, auditor.userId, stranger.userId, both]);
    await identity.sql('DELETE FROM identity.totp');
  });
});

describe('API tokens that end soon', () => {
  const EXPIRING = (more = '') => `expiringTokens${more} { token { name } user { id } }`;
  const token = async (userId: string, name: string, days: number | null) => {
    const at = identity.clock.now();
    const expiresAt = days === null ? null : new Date(at.getTime() + days * DAY_MS);
    await identity.sql('INSERT INTO identity.api_tokens (id, user_id, name, prefix, token_hash, created_at, created_by, expires_at) VALUES ($1, $2, $3, $3, sha256($3::text::bytea), $4, $2, $5)', [newId<string>(), userId, name, at, expiresAt]);
  };
  const names = async (viewer: Viewer, more?: string) => (await look(viewer, EXPIRING(more))).expiringTokens.map((one: { token: { name: string } }) => one.token.name);

  beforeAll(async () => {
    await token(operator.userId, 'in-20', 20);
    await token(operator.userId, 'in-10', 10);
    await token(operator.userId, 'in-40', 40);
    await token(operator.userId, 'never', null);
    await token(operator.userId, 'over', -1);
    await token(both, 'of-both', 5);
    await token(stranger.userId, 'foreign', 5);
    await token(operator.userId, 'revoked', 5);
    await identity.sql("UPDATE identity.api_tokens SET revoked_at = now() WHERE name = 'revoked'");
  });

  it('are shown with whom they stand for, the next one first', async () => {
    expect(await names(tenantAdmin)).toEqual(['in-10', 'in-20']);
    expect(await names(tenantAdmin, '(withinDays: 50)')).toEqual(['in-10', 'in-20', 'in-40']);
    expect(await names(tenantAdmin, '(first: 1)')).toEqual(['in-10']);
    expect(await names(admin)).toEqual(expect.arrayContaining(['foreign', 'of-both', 'in-10', 'in-20']));
    expect((await look(auditor, EXPIRING())).expiringTokens[0].user).toEqual({ id: operator.userId });
    expect((await look(admin, EXPIRING(), foreign)).expiringTokens.map((one: { token: { name: string } }) => one.token.name).toSorted()).toEqual(['foreign', 'of-both']);
  });

  it.each([['withinDays: 0', 'withinDays'], ['withinDays: 4000', 'withinDays'], ['first: -1', 'first'], ['first: 501', 'first']])('are not to be had with %s', async (argument, field) => {
    await expect(look(admin, EXPIRING(`(${argument})`))).rejects.toThrow(`BAD_USER_INPUT ${field}`);
  });
});

describe('role changes', () => {
  it('say who gave whom what, or took it, where one may see it', async () => {
    const id = await makeUser(identity, tenantAdmin, 'changed', tenant, 'viewer');
    await assign(id, 'operator', tenant);
    await assign(id, 'viewer', foreign);
    const changes = async (viewer: Viewer) =>
      nodes((await look(viewer, 'roleChanges { edges { node { userId before after changedAt changedBy { id } tenant { id } user { id } } } }')).roleChanges as Edges).filter(({ userId }) => userId === id);
    const change = { userId: id, user: { id }, changedAt: identity.clock.now().toISOString() };
    const inAcme = [
      { ...change, tenant: { id: tenant }, before: 'viewer', after: 'operator', changedBy: null }, // a platform administrator is no member
      { ...change, tenant: { id: tenant }, before: null, after: 'viewer', changedBy: { id: tenantAdmin.userId } },
    ];
    expect(await changes(tenantAdmin)).toHaveLength(2);
    expect(await changes(auditor)).toEqual(expect.arrayContaining(inAcme));
    expect(await changes(stranger)).toEqual([{ ...change, tenant: { id: foreign }, before: null, after: 'viewer', changedBy: null }]);
    expect(await changes(admin)).toHaveLength(3);
    expect(await changes(operator).catch(String)).toContain('FORBIDDEN');
  });
});

describe('signing keys', () => {
  it('are shown to the platform, with the one that comes next', async () => {
    const KEYS = 'signingKeys { id algorithm createdAt retiredAt }';
    const before = (await look(admin, KEYS)).signingKeys;
    expect(before).toEqual([{ id: expect.any(String), algorithm: 'EdDSA', createdAt: expect.any(String), retiredAt: null }]);
    identity.clock.advance(1_000);
    await identity.service.rotateSigningKey();
    const after = (await look(admin, KEYS)).signingKeys;
    expect(after).toHaveLength(2);
    expect(after[1]).toEqual({ ...before[0], retiredAt: expect.any(String) });
    expect((await look(tenantAdmin, KEYS)).signingKeys).toBeNull();
    expect((await look(admin, KEYS, tenant)).signingKeys).toBeNull();
  });
});
