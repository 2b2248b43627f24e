import { auditSubgraph, createAuditTrail, type AuditEntry, type AuditTrail } from '@novacron/audit';
import type { RequestContext, Viewer } from '@novacron/contracts';
import { startSequencer, type Sequencer } from '@novacron/events';
import { redisOptions } from '@novacron/local';
import { eventually, startRedis, type TestRedis } from '@novacron/testkit';
import { createSubgraphExecutor, type SubgraphExecutor } from '@novacron/transport';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ADMIN, login, LOGIN, makeTenant, makeUser, member, PASSWORD, startIdentity, type TestIdentity } from './identity.ts';

const logger = pino({ level: 'silent' });
let identity: TestIdentity;
let redis: TestRedis;
let sequencer: Sequencer;
let trail: AuditTrail;
let execute: SubgraphExecutor;
let admin: Viewer;
let tenant: string;
let otherTenant: string;
let tenantAdmin: Viewer;
let stranger: Viewer;
let auditor: Viewer;
let operator: Viewer;

beforeAll(async () => {
  [identity, redis] = await Promise.all([startIdentity(), startRedis()]);
  await identity.service.bootstrap();
  sequencer = startSequencer({ databaseUrl: identity.databaseUrl, redis: redisOptions(redis.url), logger });
  trail = createAuditTrail({ databaseUrl: identity.databaseUrl, service: 'identity', logger });
  execute = createSubgraphExecutor(auditSubgraph(identity.service.subgraph, trail), logger);
  admin = (await login(identity)).viewer;
  [tenant, otherTenant] = [await makeTenant(identity, admin, 'acme'), await makeTenant(identity, admin, 'other')];
  tenantAdmin = await member(identity, admin, 'tenant-admin', tenant, 'tenant_admin');
  auditor = await member(identity, admin, 'auditor', tenant, 'auditor');
  operator = await member(identity, admin, 'operator', tenant, 'operator');
  stranger = await member(identity, admin, 'stranger', otherTenant, 'tenant_admin');
}, 120_000);
afterAll(async () => {
  await trail?.close();
  await sequencer?.close();
  await identity?.close();
  await redis?.stop();
});

let requests = 0;

/** Asks as the gateway would, and answers with the request's id. */
async function ask(viewer: Viewer | null, query: string, variables: object = {}, address = '192.0.2.9') {
  requests += 1;
  const context: RequestContext = { viewer, requestId: `request-${requests}`, address, userAgent: 'test/1' };
  const { data, errors } = await execute({ query, variables: { ...variables }, context });
  return { requestId: context.requestId, data, code: errors?.[0]?.extensions?.['code'] };
}

const stored = async (): Promise<AuditEntry[]> =>
  (await identity.sql<{ content: string }>('SELECT content FROM operations.audit_log ORDER BY position')).map(({ content }) => JSON.parse(content));

/** The entries of a request, once they are chained. */
const entriesOf = (requestId: string) =>
  eventually(`the entry of ${requestId}`, async () => {
    const entries = (await stored()).filter((entry) => entry.requestId === requestId);
    return entries.length > 0 && entries;
  });

const LOG = `query ($filter: AuditFilter, $first: Int, $after: String) { auditLog(first: $first, after: $after, filter: $filter) {
  totalCount pageInfo { hasNextPage endCursor }
  edges { node { id position hash at kind action service userId user { name } credential credentialId roles { role tenantId } address userAgent requestId targetType targetId tenantId tenant { name } arguments outcome code count } }
} }`;

async function read(viewer: Viewer, filter: object = {}, page: object = {}) {
  const { data, error } = await identity.ask(viewer, LOG, { filter, ...page });
  if (error) throw new Error(error.message);
  return { ...data['auditLog'], nodes: data['auditLog'].edges.map(({ node }: { node: object }) => node) };
}

const CREATE_USER = 'mutation ($input: CreateUserInput!) { createUser(input: $input) { id } }';

describe('the audit log', () => {
  it('says who made whom, as whom, from where, with what: and no secret', async () => {
    const input = { email: 'made@example.org', name: 'made', password: 'canary password', tenantId: tenant, role: 'viewer' };
    const { requestId } = await ask(tenantAdmin, CREATE_USER, { input });
    await entriesOf(requestId);
    const { nodes } = await read(tenantAdmin, { requestId });
    expect(nodes).toEqual([
      {
        id: expect.any(String),
        position: expect.any(Number),
        hash: expect.stringMatching(/^[0-9a-f]{64}$/),
        at: expect.any(String),
        kind: 'MUTATION',
        action: 'createUser',
        service: 'identity',
        userId: tenantAdmin.userId,
        user: { name: 'tenant-admin' },
        credential: 'SESSION',
        credentialId: tenantAdmin.sessionId,
        roles: tenantAdmin.roles,
        address: '192.0.2.9',
        userAgent: 'test/1',
        requestId,
        targetType: 'User',
        targetId: expect.any(String),
        tenantId: tenant,
        tenant: { name: 'acme' },
        arguments: { input: { ...input, password: '[redacted]' } },
        outcome: 'SUCCEEDED',
        code: null,
        count: 1,
      },
    ]);
    expect(JSON.stringify(await identity.sql('SELECT content FROM operations.audit_log'))).not.toContain('canary');
  });

  it('says what was not done, and why', async () => {
    const taken = await ask(tenantAdmin, CREATE_USER, { input: { email: ADMIN.email, name: 'x', password: PASSWORD, tenantId: tenant, role: 'viewer' } });
    const denied = await ask(operator, CREATE_USER, { input: { email: 'x@example.org', name: 'x', password: PASSWORD, tenantId: tenant, role: 'viewer' } });
    expect(await entriesOf(taken.requestId)).toMatchObject([{ action: 'createUser', outcome: 'FAILED', code: taken.code, tenantId: tenant, userId: tenantAdmin.userId }]);
    expect(await entriesOf(denied.requestId)).toMatchObject([{ action: 'createUser', outcome: 'DENIED', code: 'FORBIDDEN', tenantId: tenant, userId: operator.userId }]);
  });

  it('says who signed in, and who failed to', async () => {
    const signedIn = await ask(null, LOGIN, { email: 'operator@example.org', password: PASSWORD });
    expect(await entriesOf(signedIn.requestId)).toMatchObject([
      { action: 'login', outcome: 'SUCCEEDED', userId: operator.userId, targetType: 'User', targetId: operator.userId, tenantId: tenant, arguments: { input: { email: 'operator@example.org', password: '[redacted]' } } },
    ]);
    const failed = await ask(null, LOGIN, { email: 'operator@example.org', password: 'canary' });
    const [entry] = await entriesOf(failed.requestId);
    expect(entry).toMatchObject({ action: 'login', outcome: 'DENIED', code: 'UNAUTHENTICATED', address: '192.0.2.9', arguments: { input: { email: '[redacted]', password: '[redacted]' } } });
    expect(entry).not.toHaveProperty('userId');
  });

  it('does not keep what was typed to name nobody: it may be a password in the wrong field', async () => {
    const attempts = [['login', 'canary8pple'], ['login', 'c@nary.password'], ['login', ' canary pass '], ['register', 'canary1234']] as const;
    for (const [index, [mutation, email]] of attempts.entries()) {
      const [type, more] = mutation === 'login' ? ['LoginInput', {}] : ['RegisterInput', { name: 'x' }];
      const query = `mutation ($input: ${type}!) { ${mutation}(input: $input) { accessToken } }`;
      const { requestId } = await ask(null, query, { input: { email, password: 'x', ...more } }, `198.51.100.${index}`); // else they are alike
      expect(await entriesOf(requestId)).toMatchObject([{ action: mutation, arguments: { input: { email: '[redacted]' } } }]);
    }
    const { requestId } = await ask(null, 'mutation { requestPasswordReset(email: "canary") }');
    expect(await entriesOf(requestId)).toMatchObject([{ action: 'requestPasswordReset' }]);
    const rows = await identity.sql('SELECT content FROM operations.audit_log UNION ALL SELECT entry::text FROM operations.audit_pending UNION ALL SELECT entry::text FROM operations.audit_repeat');
    expect(JSON.stringify(rows)).not.toMatch(/c[a@]nary/);
  });

  it('says which field was refused', async () => {
    const { requestId, code } = await ask(operator, 'query ($id: ID!) { user(id: $id) { id sessions { id } } }', { id: tenantAdmin.userId });
    expect(code).toBe('FORBIDDEN');
    expect(await entriesOf(requestId)).toMatchObject([{ kind: 'ACCESS', action: 'user.sessions', outcome: 'DENIED', code: 'FORBIDDEN', userId: operator.userId, tenantId: tenant }]);
  });

  it('has each of several mutations of one request', async () => {
    const rename = (id: string, name: string) => `${name}: assignRole(userId: "${id}", role: "viewer", tenantId: "${tenant}") { id }`;
    const [one, two] = [await makeUser(identity, admin, 'one', tenant, 'operator'), await makeUser(identity, admin, 'two', tenant, 'operator')];
    const { requestId } = await ask(tenantAdmin, `mutation { ${rename(one, 'a')} ${rename(two, 'b')} }`);
    await eventually('both', async () => expect(await entriesOf(requestId)).toHaveLength(2));
    expect((await entriesOf(requestId)).map(({ targetId }) => targetId).toSorted()).toEqual([one, two].toSorted());
  });
});

describe('whoever reads it', () => {
  it('sees its tenants, and a platform administrator everything', async () => {
    const mine = await ask(tenantAdmin, CREATE_USER, { input: { email: 'seen@example.org', name: 'seen', password: PASSWORD, tenantId: tenant, role: 'viewer' } });
    const platform = await ask(admin, 'mutation { createTenant(input: { name: "seen" }) { id } }');
    await entriesOf(mine.requestId);
    await entriesOf(platform.requestId);
    const seenBy = async (viewer: Viewer) => [...(await read(viewer, { requestId: mine.requestId })).nodes, ...(await read(viewer, { requestId: platform.requestId })).nodes].length;
    expect({ admin: await seenBy(admin), tenantAdmin: await seenBy(tenantAdmin), auditor: await seenBy(auditor), stranger: await seenBy(stranger) }).toEqual({ admin: 2, tenantAdmin: 1, auditor: 1, stranger: 0 });
    expect((await read(stranger)).nodes.filter((node: AuditEntry) => node.tenantId !== otherTenant)).toEqual([]);
  });

  it('needs audit:read', async () => {
    const codeFor = async (viewer: Viewer | null) => (await identity.ask(viewer, '{ auditLog { totalCount } }')).error?.code;
    expect([await codeFor(operator), await codeFor(null)]).toEqual(['FORBIDDEN', 'UNAUTHENTICATED']);
  });

  it('is not told what somebody is elsewhere', async () => {
    const both = await makeUser(identity, admin, 'both', tenant, 'tenant_admin');
    await identity.ask(admin, 'mutation ($id: ID!, $tenant: ID!) { assignRole(userId: $id, role: "viewer", tenantId: $tenant) { id } }', { id: both, tenant: otherTenant });
    const { viewer } = await login(identity, { email: 'both@example.org', password: PASSWORD });
    const { requestId } = await ask(viewer, CREATE_USER, { input: { email: 'by-both@example.org', name: 'x', password: PASSWORD, tenantId: tenant, role: 'viewer' } });
    await entriesOf(requestId);
    const rolesFor = async (reader: Viewer) => (await read(reader, { requestId })).nodes[0].roles.length;
    expect([await rolesFor(tenantAdmin), await rolesFor(admin)]).toEqual([1, 2]);
  });

  it('pages and filters', async () => {
    const all = await read(admin);
    expect(all.nodes.map(({ position }: AuditEntry) => position)).toEqual(all.nodes.map(({ position }: AuditEntry) => position).toSorted((a: number, b: number) => b - a));
    const pages: number[] = [];
    for (let after: string | null = null; ; ) {
      const page: Awaited<ReturnType<typeof read>> = await read(admin, { to: all.nodes[0].at }, { first: 2, after });
      pages.push(...page.nodes.map(({ position }: AuditEntry) => position));
      if (!page.pageInfo.hasNextPage) break;
      after = page.pageInfo.endCursor;
    }
    expect(pages).toEqual(all.nodes.filter(({ at }: AuditEntry) => at < all.nodes[0].at).map(({ position }: AuditEntry) => position));
    for (const [filter, holds] of [
      [{ userId: operator.userId }, ({ userId }: AuditEntry) => userId === operator.userId],
      [{ tenantId: tenant }, ({ tenantId }: AuditEntry) => tenantId === tenant],
      [{ action: 'login' }, ({ action }: AuditEntry) => action === 'login'],
      [{ kind: 'ACCESS' }, ({ kind }: AuditEntry) => kind === 'ACCESS'],
      [{ outcomes: ['DENIED', 'FAILED'] }, ({ outcome }: AuditEntry) => outcome === 'DENIED' || outcome === 'FAILED'],
      [{ targetId: operator.userId }, ({ targetId }: AuditEntry) => targetId === operator.userId],
      [{ address: '192.0.2.9', action: 'createUser' }, ({ action }: AuditEntry) => action === 'createUser'],
    ] as const) {
      const { nodes, totalCount } = await read(admin, filter);
      const expected = all.nodes.filter(holds);
      expect(expected.length, `${JSON.stringify(filter)}`).toBeGreaterThan(0);
      expect(nodes, `${JSON.stringify(filter)}`).toEqual(expected);
      expect(totalCount).toBe(expected.length);
    }
    const { error } = await identity.ask(admin, '{ auditLog(after: "WyJ4Il0") { totalCount } }');
    expect(error).toMatchObject({ code: 'BAD_USER_INPUT', field: 'after' });
  });
});
