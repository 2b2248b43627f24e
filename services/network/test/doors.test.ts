import { newId, type NetworkId, type SessionId, type TenantId, type UserId } from '@novacron/core';
import { inTransaction } from '@novacron/database';
import { chargeQuota } from '@novacron/operations';
import { migratedDatabase, type TestDatabase } from '@novacron/testkit';
import pg from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { openDatabase } from '../src/database.ts';
import { createNetwork } from '../src/networks.ts';
import { forgetNetwork } from '../src/operations/networks.ts';

/** What the tables alone decide. */

let test: TestDatabase;
let owner: pg.Client;

beforeAll(async () => {
  test = await migratedDatabase();
  owner = new pg.Client({ connectionString: test.url });
  await owner.connect();
});
afterAll(async () => {
  await owner.end();
  await test.drop();
});

it('a VM goes to no other host while one of its NICs is being removed, though it is free again', async () => {
  const [vmId, hostId, networkId, nicId] = [newId(), newId(), newId(), newId()];
  await owner.query("INSERT INTO vms.host (id, name, uri, hypervisor_type) VALUES ($1, 'a', 'qemu:///system', 'QEMU')", [hostId]);
  await owner.query("INSERT INTO network.network (id, tenant_id, name, kind, cidr) VALUES ($1, $2, 'n', 'NAT', '10.1.0.0/24')", [networkId, newId()]);
  await owner.query("INSERT INTO network.host_networking (host_id, mode, overlays) VALUES ($1, 'LIBVIRT', false)", [hostId]);
  await owner.query(
    "INSERT INTO network.nic (id, vm_id, tenant_id, network_id, mac, address, state, host_id, seen_addresses) VALUES ($1, $2, $3, $4, '52:54:00:00:00:01', '10.1.0.2', 'ACTIVE', $5, '{}')",
    [nicId, vmId, newId(), networkId, newId()],
  );
  const reason = async () => (await owner.query<{ reason: string | null }>('SELECT reason FROM network.hosts_for_vm($1)', [vmId])).rows[0]?.reason;
  expect(await reason()).toBeNull();
  for (const state of ['DETACHING', 'RELEASING']) {
    await owner.query('UPDATE network.nic SET state = $2 WHERE id = $1', [nicId, state]);
    expect(await reason()).toBe('One of its NICs is still being removed.');
  }
});

it('a tenant is charged for its networks exactly, and for none that is gone, however often that is said', async () => {
  const database = openDatabase(test.url);
  try {
    const tenantId = newId<TenantId>();
    await owner.query('SELECT operations.set_quota($1, $2)', [tenantId, { networks: 2 }]);
    const used = async () => (await owner.query<{ used: { networks: number } }>('SELECT used FROM operations.quota_of(ARRAY[$1]::uuid[])', [tenantId])).rows[0]?.used.networks;
    const viewer = { userId: newId<UserId>(), sessionId: newId<SessionId>(), roles: [{ role: 'operator', tenantId }] } as const;
    const create = (name: string) => createNetwork(database, { viewer, requestId: 'test', address: null, userAgent: null }, { name });
    const outcomes = await Promise.allSettled(['a', 'b', 'c', 'd', 'e'].map(create));
    const made = outcomes.flatMap((one) => (one.status === 'fulfilled' ? [one.value.row.id as NetworkId] : []));
    expect([made.length, await used()]).toEqual([2, 2]);
    expect(outcomes.flatMap((one) => (one.status === 'rejected' ? [one.reason] : []))).toMatchObject(
      Array.from({ length: 3 }, () => ({ code: 'QUOTA_EXCEEDED', message: 'The tenant uses 2 of 2 networks; this needs 1 more.' })),
    );
    const forget = (id: NetworkId) => inTransaction(database, (tx) => forgetNetwork(tx, id));
    const [first, second] = made as [NetworkId, NetworkId]; // two were made
    await Promise.all([forget(first), forget(first), forget(first)]);
    expect(await used()).toBe(1);
    await owner.query('SELECT operations.set_quota($1, $2)', [tenantId, { networks: 0 }]); // less than it has: nothing is taken away
    await expect(create('f')).rejects.toMatchObject({ code: 'QUOTA_EXCEEDED', message: 'The tenant uses 1 of 0 networks; this needs 1 more.' });
    await forget(second);
    await forget(second);
    expect(await used()).toBe(0);
  } finally {
    await database.$disconnect();
  }
});

it('a service charges for what is its own alone', async () => {
  const database = openDatabase(test.url);
  try {
    const tenantId = newId<TenantId>();
    await owner.query('SELECT operations.set_quota($1, $2)', [tenantId, {}]);
    for (const charge of [{ vms: -1 }, { storage: -1 }, { networks: 1, memory: 1 }]) await expect(chargeQuota(database, tenantId, charge)).rejects.toThrow('the service network does not charge');
    await expect(chargeQuota(database, tenantId, { networks: -1 })).rejects.toThrow('quota_used_check');
    await expect(chargeQuota(database, newId<TenantId>(), { networks: 1 })).rejects.toMatchObject({ code: 'NOT_FOUND', field: 'tenantId' });
    for (const forbidden of ['put_charge($1::uuid, $2::jsonb)', 'set_quota($1::uuid, $2::jsonb)']) {
      await expect(database.$queryRawUnsafe(`SELECT operations.${forbidden}::text`, tenantId, '{}')).rejects.toThrow('permission denied');
    }
  } finally {
    await database.$disconnect();
  }
});
