import { randomUUID } from 'node:crypto';
import { cpSync } from 'node:fs';
import { basename, join } from 'node:path';
import { startPostgres, testRun } from '@novacron/testkit';
import pg from 'pg';
import { expect, it } from 'vitest';
import { migrate } from '../src/index.ts';

const PRISMA = join(import.meta.dirname, '../../../prisma');
const QUOTAS = '20261122050000';

/** The migrations of before, as a release without these quotas had them. */
function migrationsBefore(name: string, directory: string): string {
  cpSync(PRISMA, directory, { recursive: true, filter: (path) => !(/^\d{14}_/.test(basename(path)) && basename(path) >= name) });
  return directory;
}

it('a database that has volumes, snapshots, images and networks already is charged with what there is', async () => {
  const database = await (await startPostgres()).createDatabase();
  const before = migrationsBefore(QUOTAS, (await testRun()).makeDirectory('prisma-before-quotas'));
  const client = new pg.Client({ connectionString: database.url });
  try {
    await migrate(database.url, before);
    await client.connect();
    const [tenant, other, poolId, kept, growing, operationId] = Array.from({ length: 6 }, () => randomUUID()) as [string, string, string, string, string, string]; // as many
    const volume = (id: string, tenantId: string, size: number, operation: string | null = null) =>
      client.query(
        "INSERT INTO storage.volume (id, tenant_id, name, live_name, size, format, pool_id, libvirt_name, operation_id, operation_verb) VALUES ($1, $2, $3, $3, $4, 'raw', $5, $3, $6, $7)",
        [id, tenantId, `volume-${id}`, size, poolId, operation, operation && 'resize'],
      );
    await client.query('INSERT INTO operations.quota (tenant_id, vms, used_vms) VALUES ($1, 5, 3), ($2, NULL, 0)', [tenant, other]);
    await client.query("INSERT INTO storage.pool (id, name, path) VALUES ($1, 'local', '/pool')", [poolId]);
    await volume(kept, tenant, 100);
    await volume(growing, tenant, 10, operationId);
    await volume(randomUUID(), other, 7);
    await client.query("INSERT INTO operations.operation (id, service, kind, target_type, target_id, tenant_id, requested_by) VALUES ($1, 'storage', 'volume.resize', 'Volume', $2, $3, $2)", [operationId, growing, tenant]);
    await client.query("INSERT INTO operations.step (operation_id, index, name, service, input) VALUES ($1, 0, 'storage.hold-volume', 'storage', $2)", [operationId, { verb: 'resize', size: 25 }]);
    await client.query("INSERT INTO storage.volume_snapshot (id, volume_id, name, size, libvirt_name) VALUES ($1, $3, 'a', 40, 'a'), ($2, $3, 'b', 50, 'b')", [randomUUID(), randomUUID(), kept]);
    await client.query("INSERT INTO storage.image (id, tenant_id, name, pool_id, file_size) VALUES ($1, $3, 'own', $4, 1000), ($2, NULL, 'public', $4, 5000)", [randomUUID(), randomUUID(), tenant, poolId]);
    await client.query("INSERT INTO network.network (id, tenant_id, name, kind, cidr) VALUES ($1, $2, 'one', 'NAT', '10.0.0.0/24')", [randomUUID(), tenant]);

    await migrate(database.url);
    const { rows } = await client.query('SELECT used FROM operations.quota_of(ARRAY[$1, $2]::uuid[]) ORDER BY tenant_id = $1 DESC', [tenant, other]);
    expect(rows).toEqual([
      { used: { vms: 3, vcpus: 0, memory: 0, storage: 100 + 25 + 90 + 1000, snapshots: 2, networks: 1, operationsInFlight: 1 } },
      { used: { vms: 0, vcpus: 0, memory: 0, storage: 7, snapshots: 0, networks: 0, operationsInFlight: 0 } },
    ]);
  } finally {
    await client.end();
    await database.drop();
  }
});
