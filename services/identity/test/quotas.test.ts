import { PERMISSIONS, type Viewer } from '@novacron/contracts';
import { secretsOf } from '@novacron/secrets';
import { eventually } from '@novacron/testkit';
import { pino } from 'pino';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { contentOf, createMailbox } from '../src/mail/mailbox.ts';
import { createQuotaWatch } from '../src/quota-watch.ts';
import { openDatabase, type Database } from '../src/store/database.ts';
import { login, makeTenant, makeUser, PASSWORD, startIdentity, type TestIdentity } from './identity.ts';

/** What tenants may use, what they use, and who hears of it when that is nearly the same. */

const ALL = 'vms vcpus memory storage snapshots networks operationsInFlight';
const QUOTA = { vms: 10, vcpus: 20, memory: 2 ** 34, storage: 2 ** 40, snapshots: 5, networks: 2, operationsInFlight: 7 };

// oxlint-disable-next-line typescript/no-explicit-any -- what was said of the quota, as its template knows it
type Loose = Record<string, any>;

let identity: TestIdentity;
let db: Database;
let admin: Viewer;
let tenantId: string;
let made = 0;

const use = (columns: string, id = tenantId) => identity.sql(`UPDATE operations.quota SET ${columns} WHERE tenant_id = $1`, [id]);

beforeAll(async () => {
  identity = await startIdentity();
  await identity.service.bootstrap();
  admin = (await login(identity)).viewer;
  db = openDatabase(identity.databaseUrl);
});
afterAll(async () => {
  await db?.$disconnect();
  await identity?.close();
});
beforeEach(async () => {
  tenantId = await makeTenant(identity, admin, `tenant-${(made += 1)}`);
});

describe('a quota', () => {
  it('is of everything that a tenant uses, and shown with what it uses', async () => {
    const { data, error } = await identity.ask(admin, `mutation ($input: CreateTenantInput!) { createTenant(input: $input) { id quota { ${ALL} } usage { ${ALL} } } }`, {
      input: { name: 'limited', quota: { ...QUOTA, memory: '16GiB', storage: '1TiB' } },
    });
    expect(error).toBeNull();
    const { id, ...shown } = data['createTenant'];
    expect(shown).toEqual({ quota: QUOTA, usage: { vms: 0, vcpus: 0, memory: 0, storage: 0, snapshots: 0, networks: 0, operationsInFlight: 0 } });
    await use('used_vms = 1, used_vcpus = 2, used_memory = 3, used_storage = 4, used_snapshots = 5, used_networks = 6', id);
    const asked = await identity.ask(admin, `query ($id: ID!) { tenant(id: $id) { usage { ${ALL} } } }`, { id });
    expect(asked.data['tenant'].usage).toEqual({ vms: 1, vcpus: 2, memory: 3, storage: 4, snapshots: 5, networks: 6, operationsInFlight: 0 });
  });

  it('is without limit where nothing was said', async () => {
    const { data } = await identity.ask(admin, `query ($id: ID!) { tenant(id: $id) { quota { ${ALL} } } }`, { id: tenantId });
    expect(new Set(Object.values(data['tenant'].quota))).toEqual(new Set([null]));
  });

  it('counts operations that somebody has asked for and that have not ended', async () => {
    const insert = (id: number, columns: string, values: string) =>
      identity.sql(
        `INSERT INTO operations.operation (id, service, kind, target_type, target_id, tenant_id, due_at${columns}) VALUES ($2, 'vms', 'vm.start', 'Vm', $2, $1, NULL${values})`,
        [tenantId, `00000000-0000-7000-8000-00000000000${id}`],
      );
    await insert(1, ', requested_by', ', gen_random_uuid()');
    await insert(2, ', requested_by, finished_at', ', gen_random_uuid(), now()');
    await insert(3, '', ''); // NovaCron's own
    await insert(4, ', requested_by, parent_id', ", gen_random_uuid(), '00000000-0000-7000-8000-000000000001'"); // one of a host that is drained
    const { data } = await identity.ask(admin, 'query ($id: ID!) { tenant(id: $id) { usage { operationsInFlight } } }', { id: tenantId });
    expect(data['tenant'].usage).toEqual({ operationsInFlight: 1 });
  });
});

describe('a quota that is nearly used up', () => {
  let look: () => Promise<void>;
  let told: () => Promise<Loose[]>;
  const limit = (limits: object) => identity.sql('SELECT operations.set_quota($1::uuid, $2::jsonb)', [tenantId, JSON.stringify(limits)]);

  beforeAll(() => {
    const secrets = secretsOf(identity.masterKey);
    look = createQuotaWatch({ db, mailbox: createMailbox({ secrets, ring: () => {} }), now: identity.clock.now, logger: pino({ level: 'silent' }) });
    told = async () => {
      const mails = await db.mail.findMany({ where: { tenantId, kind: 'quota_near_end' } });
      return mails.map(({ id, userId, content, keyId }) => ({ userId, said: JSON.parse(secrets.open({ sealed: content, keyId }, contentOf(id)).toString()) }));
    };
  });
  beforeEach(async () => {
    await limit({ vms: 10, memory: 2 ** 30, storage: 0 });
  });

  it('is told to the administrators of the tenant, once, however many look at once', async () => {
    const one = await makeUser(identity, admin, `first-${made}`, tenantId, 'tenant_admin');
    const other = await makeUser(identity, admin, `second-${made}`, tenantId, 'tenant_admin');
    await makeUser(identity, admin, `operator-${made}`, tenantId, 'operator');
    const gone = await makeUser(identity, admin, `gone-${made}`, tenantId, 'tenant_admin');
    await identity.sql('UPDATE identity.users SET deactivated_at = now() WHERE id = $1', [gone]);
    await use('used_vms = 9, used_memory = 1000000000');
    await Promise.all([look(), look(), look()]);
    await look();
    const mails = await told();
    const about = { vms: { resource: 'VMs', used: '9', limit: '10' }, memory: { resource: 'Memory', used: '954 MiB', limit: '1,024 MiB' } };
    expect(mails).toHaveLength(4);
    for (const [userId, name] of [[one, `first-${made}`], [other, `second-${made}`]]) {
      for (const what of Object.values(about)) expect(mails).toContainEqual({ userId, said: { name, tenant: `tenant-${made}`, ...what } });
    }
  });

  it('is told again once it was not, and not for every step back and forth', async () => {
    await makeUser(identity, admin, `only-${made}`, tenantId, 'tenant_admin');
    const counts: number[] = [];
    for (const used of [8, 9, 10, 8, 9, 7, 8, 9]) {
      await use(`used_vms = ${used}`);
      await look();
      counts.push((await told()).length);
    }
    expect(counts).toEqual([0, 1, 1, 1, 1, 1, 1, 2]);
  });

  it('is posted by the service, with nobody asking', async () => {
    const userId = await makeUser(identity, admin, `waits-${made}`, tenantId, 'tenant_admin');
    await use('used_vms = 10');
    const another = identity.another();
    another.start();
    const mails = await eventually('the mail', async () => {
      const rows = await identity.sql('SELECT kind, user_id, tenant_id FROM identity.mails WHERE tenant_id = $1', [tenantId]);
      return rows.length > 0 && rows;
    });
    expect(mails).toEqual([{ kind: 'quota_near_end', user_id: userId, tenant_id: tenantId }]);
  });
});

describe('permissions', () => {
  const ASK = '{ me { permissions } tenants { edges { node { name permissions } } } }';

  it('are told for each tenant, where somebody has several', async () => {
    const [here, there] = [await makeTenant(identity, admin, `here-${made}`), await makeTenant(identity, admin, `there-${made}`)];
    const userId = await makeUser(identity, admin, `several-${made}`, here, 'viewer');
    await identity.ask(admin, 'mutation ($userId: ID!, $tenantId: ID!) { assignRole(userId: $userId, role: "operator", tenantId: $tenantId) { id } }', { userId, tenantId: there });
    const { viewer } = await login(identity, { email: `several-${made}@example.org`, password: PASSWORD });
    const { data } = await identity.ask(viewer, ASK);
    const [inHere, inThere] = data['tenants'].edges.map(({ node }: Loose) => node['permissions']);
    expect(inHere).not.toContain('vm:start');
    expect(inThere).toContain('vm:start');
    expect(data['me'].permissions).toEqual(inThere);
    const token = await identity.ask({ ...viewer, scopes: ['vm:read', 'tenant:read', 'vm:stop'] }, ASK);
    expect(token.data['tenants'].edges.map(({ node }: Loose) => node['permissions'])).toEqual([['tenant:read', 'vm:read'], ['tenant:read', 'vm:read', 'vm:stop']]);
  });

  it('are none for who owes something first, and all of them for a platform administrator', async () => {
    const { data } = await identity.ask({ ...admin, roles: [], owes: 'second_factor' }, '{ me { permissions } }');
    expect(data['me']).toEqual({ permissions: [] });
    const { data: all } = await identity.ask(admin, 'query ($id: ID!) { me { permissions } tenant(id: $id) { permissions } }', { id: tenantId });
    expect(all['tenant'].permissions).toEqual(Object.keys(PERMISSIONS).toSorted());
    expect(all['me'].permissions).toEqual(all['tenant'].permissions);
  });
});
