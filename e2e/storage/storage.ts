import { newId } from '@novacron/core';
import type { Graph, Loose } from '../kit/client.ts';
import type { Embedded } from '../kit/embedded.ts';
import { Operation } from '../kit/vm.ts';

export const MIB = 2 ** 20;

const VOLUME = 'id name state problem generation size allocated format encrypted device pool { id name } attachedTo { id } snapshots { id name size state } tenant { id }';

let made = 0;
export const newName = (what = 'volume'): string => `${what}-${(made += 1)}`;

/** Asks for a verb; the operation that was accepted. */
export async function ask(graph: Graph, mutation: string, variables: Record<string, [type: string, value: unknown]>): Promise<{ volume: Loose; operation: Operation }> {
  const names = Object.entries(variables);
  const document = `mutation (${names.map(([name, [type]]) => `$${name}: ${type}`).join(', ')}) {
    done: ${mutation}(${names.map(([name]) => `${name}: $${name}`).join(', ')}) { volume { ${VOLUME} } operation { id } }
  }`;
  const { done } = await graph.run(document, Object.fromEntries(names.map(([name, [, value]]) => [name, value])));
  return { volume: done.volume, operation: new Operation(graph, done.operation.id) };
}

/** A volume in the hands of one user. */
export class Volume {
  readonly graph: Graph;
  readonly id: string;

  constructor(graph: Graph, id: string) {
    this.graph = graph;
    this.id = id;
  }

  async read(): Promise<Loose> {
    return (await this.graph.run(`query ($id: ID!) { volume(id: $id) { ${VOLUME} } }`, { id: this.id }))['volume'];
  }

  resize = (size: number | string) => ask(this.graph, 'resizeVolume', { id: ['ID!', this.id], size: ['ByteSize!', size] });
  attach = (vmId: string) => ask(this.graph, 'attachVolume', { volumeId: ['ID!', this.id], vmId: ['ID!', vmId] });
  detach = () => ask(this.graph, 'detachVolume', { volumeId: ['ID!', this.id] });
  snapshot = (name: string) => ask(this.graph, 'snapshotVolume', { id: ['ID!', this.id], name: ['String!', name] });
  delete = () => ask(this.graph, 'deleteVolume', { id: ['ID!', this.id] });

  /** Asks for a verb and waits until it is done. */
  async does(verb: (volume: this) => Promise<{ operation: Operation }>): Promise<Loose> {
    await (await verb(this)).operation.succeeds(180_000);
    return this.read();
  }
}

export const deleteSnapshot = (graph: Graph, id: string) => ask(graph, 'deleteVolumeSnapshot', { id: ['ID!', id] });

export async function createVolume(graph: Graph, input: Loose): Promise<{ volume: Volume; seen: Loose; operation: Operation }> {
  const { volume, operation } = await ask(graph, 'createVolume', { input: ['CreateVolumeInput!', { name: newName(), size: '4MiB', ...input }] });
  return { volume: new Volume(graph, volume['id']), seen: volume, operation };
}

/** A volume that is there. */
export async function haveVolume(graph: Graph, input: Loose = {}): Promise<Volume> {
  const { volume, operation } = await createVolume(graph, input);
  await operation.succeeds(300_000);
  return volume;
}

/** Asks for a pool, and waits for its end. */
export async function createPool(admin: Graph, input: Loose): Promise<{ id: string; operation: Operation }> {
  const { createStoragePool: done } = await admin.run(
    'mutation ($input: CreateStoragePoolInput!) { createStoragePool(input: $input) { storagePool { id name state } operation { id } } }',
    { input },
  );
  return { id: done.storagePool.id, operation: new Operation(admin, done.operation.id) };
}

/** A tenant that nobody is in, as identity makes it. */
export async function newTenant(admin: Graph): Promise<string> {
  return (await admin.run('mutation ($name: String!) { createTenant(input: { name: $name }) { id } }', { name: `tenant-${newId<string>().slice(-12)}` }))['createTenant'].id;
}

const lines = (text: string): string[] => text.split('\n').map((line) => line.trim()).filter((line) => line !== '');

/**
 * Fails unless what libvirt has of volumes and secrets is what the rows account for, and claims are the sum of what there is.
 */
export async function nothingLeftBehind({ hosts, sql }: Pick<Embedded, 'hosts' | 'sql'>): Promise<void> {
  const faults: string[] = [];
  const pools = await sql(`
    SELECT p.id, p.name, p.shared, p.claimed, array_agg(f.name) AS hosts,
      (SELECT coalesce(sum(v.size), 0) FROM storage.volume v WHERE v.pool_id = p.id AND v.deleted_at IS NULL)
      + (SELECT coalesce(sum(v.size), 0) FROM storage.volume v WHERE v.target_pool_id = p.id AND v.deleted_at IS NULL)
      + (SELECT coalesce(sum(n.size), 0) FROM storage.volume_snapshot n JOIN storage.volume v ON v.id = n.volume_id WHERE v.pool_id = p.id)
      + (SELECT coalesce(sum(s.size), 0) FROM storage.seed s WHERE p.id IN (s.pool_id, s.target_pool_id))
      + (SELECT coalesce(sum(c.claimed), 0) FROM storage.image_copy c WHERE c.pool_id = p.id) AS accounted,
      (SELECT array_agg(x.name) FROM (
        SELECT v.libvirt_name AS name FROM storage.volume v WHERE p.id IN (v.pool_id, v.target_pool_id) AND v.deleted_at IS NULL AND v.problem IS NULL
        UNION ALL SELECT n.libvirt_name FROM storage.volume_snapshot n JOIN storage.volume v ON v.id = n.volume_id WHERE v.pool_id = p.id
        UNION ALL SELECT s.libvirt_name FROM storage.seed s WHERE p.id IN (s.pool_id, s.target_pool_id)
        UNION ALL SELECT c.libvirt_name FROM storage.image_copy c WHERE c.pool_id = p.id
        UNION ALL SELECT 'novacron-' || p.id || '.pool' WHERE p.shared) x) AS files
    FROM storage.pool p JOIN storage.pool_host h ON h.pool_id = p.id JOIN vms.host f ON f.id = h.host_id GROUP BY p.id`);
  for (const pool of pools) {
    if (String(pool['claimed']) !== String(pool['accounted'])) faults.push(`pool ${pool['name']} has promised ${pool['claimed']} bytes, not ${pool['accounted']}`);
    const known = new Set<string>(pool['files'] ?? []);
    for (const host of hosts.filter(({ name }) => pool['hosts'].includes(name))) {
      if (pool['shared']) await host.virsh('pool-refresh', `nc-${pool['name']}`);
      const found = new Set(lines(await host.virsh('vol-list', `nc-${pool['name']}`)).map((line) => line.split(/\s+/)[0] ?? ''));
      faults.push(...[...found].filter((name) => !known.has(name)).map((name) => `the volume ${name} on ${host.name} is nobody's`));
      faults.push(...[...known].filter((name) => !found.has(name)).map((name) => `the volume ${name} is not on ${host.name}`));
    }
  }
  for (const host of hosts) {
    const names = lines(await host.virsh('pool-list', '--all', '--name')).filter((name) => name.startsWith('nc-'));
    const expected = new Set(pools.filter((pool) => pool['hosts'].includes(host.name)).map((pool) => `nc-${pool['name']}`));
    faults.push(...names.filter((name) => !expected.has(name)).map((name) => `the pool ${name} on ${host.name} is nobody's`));
    const secrets = lines(await host.virsh('secret-list')).map((line) => line.split(/\s+/)[0]);
    const wanted = await sql(
      'SELECT v.secret_id FROM storage.volume v JOIN vms.vm m ON m.id = v.vm_id JOIN vms.host h ON h.id = m.host_id WHERE h.name = $1 AND v.secret_id IS NOT NULL',
      [host.name],
    );
    const known = new Set(wanted.map((row) => row['secret_id']));
    faults.push(...secrets.filter((id) => !known.has(id)).map((id) => `the secret ${id} on ${host.name} is nobody's`));
    faults.push(...[...known].filter((id) => !secrets.includes(id)).map((id) => `the secret ${id} is not on ${host.name}`));
  }
  const charged = await sql(`
    SELECT q.tenant_id, q.used_storage, q.used_snapshots, coalesce(v.size, 0) + coalesce(s.size, 0) + coalesce(i.size, 0) AS storage, coalesce(s.count, 0) AS snapshots FROM operations.quota q
      LEFT JOIN (SELECT tenant_id, sum(size) AS size FROM storage.volume WHERE deleted_at IS NULL GROUP BY tenant_id) v USING (tenant_id)
      LEFT JOIN (SELECT v.tenant_id, sum(n.size) AS size, count(*) AS count FROM storage.volume_snapshot n JOIN storage.volume v ON v.id = n.volume_id GROUP BY v.tenant_id) s USING (tenant_id)
      LEFT JOIN (SELECT tenant_id, sum(file_size) AS size FROM storage.image WHERE deleted_at IS NULL GROUP BY tenant_id) i USING (tenant_id)`);
  for (const quota of charged) {
    const [used, accounted] = [`${quota['used_storage']} bytes and ${quota['used_snapshots']} snapshots`, `${quota['storage']} bytes and ${quota['snapshots']} snapshots`];
    if (used !== accounted) faults.push(`tenant ${quota['tenant_id']} is charged with ${used}, not ${accounted}`);
  }
  const held = await sql('SELECT name, operation_verb FROM storage.volume WHERE operation_id IS NOT NULL AND deleted_at IS NULL');
  faults.push(...held.map((row) => `volume ${row['name']} is still held: ${row['operation_verb']}`));
  const heldVms = await sql('SELECT name, operation_verb FROM vms.vm WHERE operation_id IS NOT NULL AND deleted_at IS NULL');
  faults.push(...heldVms.map((row) => `VM ${row['name']} is still held: ${row['operation_verb']}`));
  const unfinished = await sql('SELECT kind, state FROM operations.operation WHERE finished_at IS NULL');
  faults.push(...unfinished.map((row) => `${row['kind']} is ${row['state']}`));
  if (faults.length > 0) throw new Error(`left behind: ${faults.join('; ')}`);
}

/** Waits until every host's own pool may be used. */
export const localPools = async ({ sql }: Pick<Embedded, 'sql'>): Promise<Map<string, string>> =>
  new Map((await sql("SELECT h.host_id, p.id FROM storage.pool p JOIN storage.pool_host h ON h.pool_id = p.id WHERE p.name = 'local' AND p.room > 0")).map((row) => [row['host_id'], row['id']]));
