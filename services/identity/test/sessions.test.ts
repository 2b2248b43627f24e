import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Viewer } from '@novacron/contracts';
import { newId } from '@novacron/core';
import { createHousekeeping } from '../src/accounts/housekeeping.ts';
import { openDatabase } from '../src/store/database.ts';
import { login, makeTenant, makeUser, member, PASSWORD, startIdentity, type TestIdentity } from './identity.ts';

let identity: TestIdentity;
let admin: Viewer;
let tenantAdmin: Viewer;
let acme: string;

beforeAll(async () => {
  identity = await startIdentity();
  await identity.service.bootstrap();
  admin = (await login(identity)).viewer;
  acme = await makeTenant(identity, admin, 'acme');
  tenantAdmin = await member(identity, admin, 'alice', acme, 'tenant_admin');
});
afterAll(() => identity?.close());

const authenticate = (token: string) => identity.service.authenticator.authenticate(token, null);
const revoke = (viewer: Viewer | null, id: string) => identity.ask(viewer, 'mutation ($id: ID!) { revokeSession(id: $id) }', { id });
const revokeOthers = (viewer: Viewer | null) => identity.ask(viewer, 'mutation { revokeOtherSessions }');
const signIn = (name: string) => login(identity, { email: `${name}@example.org`, password: PASSWORD });
const endings = async (sessionId: string) => (await identity.events()).filter(({ type, entityId }) => type === 'session.revoked' && entityId === sessionId);

describe('revokeSession', () => {
  it('ends a session of one\'s own: its tokens are refused, the others live on, and it is told once', async () => {
    await makeUser(identity, admin, 'bob', acme, 'viewer');
    const [lost, kept] = [await signIn('bob'), await signIn('bob')];
    const before = await identity.ask(kept.viewer, '{ me { sessions { id current } } }');
    expect(before.data['me'].sessions).toEqual([{ id: kept.viewer.sessionId, current: true }, { id: lost.viewer.sessionId, current: false }]);
    for (let time = 0; time < 2; time += 1) expect(await revoke(kept.viewer, lost.viewer.sessionId)).toEqual({ data: { revokeSession: true }, error: null });
    await expect(authenticate(lost.accessToken)).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
    const refreshed = await identity.ask(null, 'mutation ($token: String!) { refreshSession(refreshToken: $token) { accessToken } }', { token: lost.refreshToken });
    expect(refreshed.error).toMatchObject({ code: 'UNAUTHENTICATED' });
    await authenticate(kept.accessToken);
    expect(await endings(lost.viewer.sessionId)).toMatchObject([{ body: { after: { userId: kept.viewer.userId } } }]);
    const after = await identity.ask(kept.viewer, '{ me { sessions { id } } }');
    expect(after.data['me'].sessions).toEqual([{ id: kept.viewer.sessionId }]);
  });

  it('is for administrators of all tenants of the user, too, and leaves platform administrators to their like', async () => {
    const globex = await makeTenant(identity, admin, 'globex');
    const colleague = await member(identity, admin, 'carol', acme, 'operator');
    const stranger = await member(identity, admin, 'greta', globex, 'tenant_admin');
    const { viewer: target, accessToken } = await (await makeUser(identity, admin, 'dan', acme, 'viewer'), signIn('dan'));
    expect((await revoke(null, target.sessionId)).error).toMatchObject({ code: 'UNAUTHENTICATED' });
    expect((await revoke(colleague, target.sessionId)).error).toMatchObject({ code: 'FORBIDDEN' });
    expect((await revoke(stranger, target.sessionId)).error).toMatchObject({ code: 'NOT_FOUND', field: 'id' });
    await authenticate(accessToken);
    expect((await revoke(tenantAdmin, target.sessionId)).error).toBeNull();
    await expect(authenticate(accessToken)).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });

    await identity.ask(admin, 'mutation ($user: ID!, $tenant: ID!) { assignRole(userId: $user, role: "viewer", tenantId: $tenant) { id } }', { user: colleague.userId, tenant: globex });
    expect((await revoke(tenantAdmin, colleague.sessionId)).error).toMatchObject({ code: 'FORBIDDEN' });
    expect((await revoke(admin, colleague.sessionId)).error).toBeNull();

    const chief = await member(identity, admin, 'chief', acme, 'platform_admin');
    expect((await revoke(tenantAdmin, chief.sessionId)).error).toMatchObject({ code: 'FORBIDDEN' });
  });

  it.each(['', 'x', newId()])('knows no session %j', async (id) => {
    expect((await revoke(tenantAdmin, id)).error).toMatchObject({ code: 'NOT_FOUND', field: 'id' });
  });
});

describe('revokeOtherSessions', () => {
  it('ends all but the one that asks, and nobody else\'s', async () => {
    await makeUser(identity, admin, 'erin', acme, 'viewer');
    const [one, two, asking] = [await signIn('erin'), await signIn('erin'), await signIn('erin')];
    expect(await revokeOthers(asking.viewer)).toEqual({ data: { revokeOtherSessions: 2 }, error: null });
    expect((await revokeOthers(asking.viewer)).data['revokeOtherSessions']).toBe(0);
    for (const { accessToken } of [one, two]) await expect(authenticate(accessToken)).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
    await authenticate(asking.accessToken);
    expect([await endings(one.viewer.sessionId), await endings(two.viewer.sessionId)]).toMatchObject([[{}], [{}]]);
    expect(await endings(tenantAdmin.sessionId)).toEqual([]);
  });

  it('needs somebody', async () => {
    expect((await revokeOthers(null)).error).toMatchObject({ code: 'UNAUTHENTICATED' });
  });
});

it('an API token ends no session, not even of its owner', async () => {
  const token: Viewer = { ...tenantAdmin, scopes: ['session:revoke', 'user:read'] };
  expect((await revoke(token, tenantAdmin.sessionId)).error).toMatchObject({ code: 'FORBIDDEN' });
  expect((await revokeOthers(token)).error).toMatchObject({ code: 'FORBIDDEN' });
});

it('a session is forgotten when its lifetime is over, not before, ended or not', async () => {
  const db = openDatabase(identity.databaseUrl);
  const tidy = createHousekeeping({ db, now: identity.clock.now, logger: pino({ level: 'silent' }) });
  try {
    await makeUser(identity, admin, 'frank', acme, 'viewer');
    const [ended, open] = [await signIn('frank'), await signIn('frank')];
    await revoke(open.viewer, ended.viewer.sessionId);
    const left = async () => (await identity.sql('SELECT id FROM identity.sessions WHERE user_id = $1 ORDER BY id', [open.viewer.userId])).map(({ id }) => id);
    identity.clock.advance(30 * 24 * 3_600_000 - 1);
    await tidy();
    expect(await left()).toEqual([ended.viewer.sessionId, open.viewer.sessionId]);
    identity.clock.advance(1);
    await tidy();
    expect(await left()).toEqual([]);
  } finally {
    await db.$disconnect();
  }
});
