import { newId } from '@novacron/core';
import { migratedDatabase, type TestDatabase } from '@novacron/testkit';
import pg from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';

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
