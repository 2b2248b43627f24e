import type { TestHost } from '@novacron/testkit';
import type { Embedded } from '../kit/embedded.ts';
import { footprintOf, networkName } from '../network/network.ts';
import { nothingLeftBehind as noVolumeLeftBehind } from '../storage/storage.ts';

type House = Pick<Embedded, 'hosts' | 'sql'>;

/**
 * Fails unless every host has what the rows account for, and nothing else: volumes, seeds, secrets, domains, networks, addresses
 * and filters; and unless claims and quota are the sum of what there is, and each migration ended as its operation did.
 */
export async function inOrder(system: House): Promise<void> {
  await noVolumeLeftBehind(system);
  const faults = [...(await rowFaults(system)), ...(await domainFaults(system)), ...(await Promise.all(system.hosts.map((host) => networkFaults(system, host)))).flat()];
  if (faults.length > 0) throw new Error(`not in order: ${faults.join('; ')}`);
}

/** What the database alone can tell. */
const RULES: Readonly<Record<string, string>> = {
  'a host has promised more or less than its VMs have': `
    SELECT h.name, h.allocated_vcpus, h.allocated_memory FROM vms.host h LEFT JOIN vms.vm v ON h.id IN (v.host_id, v.migration_host_id) AND v.deleted_at IS NULL
    GROUP BY h.id HAVING (h.allocated_vcpus, h.allocated_memory) <> (coalesce(sum(v.vcpus), 0), coalesce(sum(v.memory), 0))`,
  'a quota was charged with more or less than its tenant has': `
    SELECT q.* FROM operations.quota q LEFT JOIN vms.vm v ON v.tenant_id = q.tenant_id AND v.deleted_at IS NULL
    GROUP BY q.tenant_id HAVING (used_vms, used_vcpus, used_memory) <> (count(v.id), coalesce(sum(v.vcpus), 0), coalesce(sum(v.memory), 0))`,
  'a quota was charged with more or less than the networks of its tenant': `
    SELECT q.tenant_id, q.used_networks FROM operations.quota q LEFT JOIN network.network n ON n.tenant_id = q.tenant_id GROUP BY q.tenant_id HAVING used_networks <> count(n.id)`,
  'a VM is on its way though nothing moves it': 'SELECT name FROM vms.vm WHERE deleted_at IS NULL AND operation_id IS NULL AND migration_host_id IS NOT NULL',
  'a device is of no VM': 'SELECT d.id FROM vms.vm_device d JOIN vms.vm v ON v.id = d.vm_id WHERE v.deleted_at IS NOT NULL',
  'a volume is of no VM': 'SELECT d.name FROM storage.volume d JOIN vms.vm v ON v.id = d.vm_id WHERE d.deleted_at IS NULL AND v.deleted_at IS NOT NULL',
  'a volume is free, and not quite': `
    SELECT name FROM storage.volume WHERE deleted_at IS NULL AND vm_id IS NULL AND (target IS NOT NULL OR boot_order IS NOT NULL OR owned_by_vm OR target_pool_id IS NOT NULL)`,
  'a seed is of no VM': 'SELECT s.vm_id FROM storage.seed s JOIN vms.vm v ON v.id = s.vm_id WHERE v.deleted_at IS NOT NULL',
  'a copy of an image is unfinished': "SELECT image_id FROM storage.image_copy WHERE state <> 'READY' OR operation_id IS NOT NULL",
  'a NIC is not at rest on the host of its VM': `
    SELECT c.mac, c.state FROM network.nic c JOIN vms.vm v ON v.id = c.vm_id
    WHERE v.deleted_at IS NOT NULL OR c.state <> 'ACTIVE' OR c.host_id <> v.host_id OR c.migration_host_id IS NOT NULL`,
  'a network is on a host that nobody needs it on, or is not up': `
    SELECT n.name, h.state FROM network.network_host h JOIN network.network n ON n.id = h.network_id
    WHERE h.state <> 'READY' OR NOT n.is_default AND NOT EXISTS (SELECT FROM network.nic c WHERE c.network_id = n.id AND c.host_id = h.host_id)`,
  'a migration did not end as its operation': `
    SELECT m.state, o.state AS operation FROM migration.migration m JOIN operations.operation o ON o.id = m.operation_id WHERE m.finished_at IS NULL OR m.state::text <> CASE
      WHEN o.state <> 'FAILED' THEN o.state::text
      WHEN EXISTS (SELECT FROM operations.step s WHERE s.operation_id = o.id AND s.output IS NOT NULL AND s.name IN ('network.migrate-in', 'storage.migrate-in', 'migration.move')) THEN 'ROLLED_BACK'
      ELSE 'FAILED' END`,
};

async function rowFaults({ sql }: House): Promise<string[]> {
  const faults: string[] = [];
  for (const [rule, query] of Object.entries(RULES)) {
    faults.push(...(await sql(query)).map((row) => `${rule}: ${JSON.stringify(row)}`));
  }
  return faults;
}

const lines = (text: string): string[] => text.split('\n').map((line) => line.trim()).filter((line) => line !== '');

/** Each domain is on the host of its VM, and nowhere else, and no QEMU runs without one. */
async function domainFaults({ hosts, sql }: House): Promise<string[]> {
  const vms = await sql("SELECT 'nc-' || v.id AS domain, h.name AS host, v.state FROM vms.vm v JOIN vms.host h ON h.id = v.host_id WHERE v.deleted_at IS NULL");
  const faults: string[] = [];
  for (const host of hosts) {
    const found = lines(await host.virsh('list', '--all', '--name'));
    const running = lines(await host.virsh('list', '--name'));
    const here = vms.filter((vm) => vm['host'] === host.name);
    faults.push(...found.filter((name) => !here.some((vm) => vm['domain'] === name)).map((name) => `the domain ${name} on ${host.name} is nobody's`));
    // one that was deleted in part says ERROR
    faults.push(...here.filter((vm) => vm['state'] !== 'ERROR' && !found.includes(vm['domain'])).map((vm) => `the domain ${vm['domain']} is not on ${host.name}`));
    const qemus = host.qemuPids().length;
    if (qemus !== running.length) faults.push(`${host.name} runs ${qemus} QEMUs for ${running.length} domains`);
  }
  return faults;
}

async function networkFaults({ sql }: House, host: TestHost): Promise<string[]> {
  const nics = await sql("SELECT c.id, c.mac, host(c.address) AS ip FROM network.nic c JOIN vms.host h ON h.id = c.host_id WHERE h.name = $1 AND c.address IS NOT NULL", [host.name]);
  const networks = await sql<{ id: string; kind: string }>(
    'SELECT n.id, n.kind FROM network.network_host o JOIN network.network n ON n.id = o.network_id JOIN vms.host h ON h.id = o.host_id WHERE h.name = $1',
    [host.name],
  );
  const found = await footprintOf(host);
  const names = networks.map(({ id }) => networkName(id));
  const tunnels = networks.filter(({ kind }) => kind === 'OVERLAY').map(({ id }) => networkName(id).replace('nc-', 'vx-'));
  const expected: Record<string, string[]> = {
    networks: names,
    entries: nics.map(({ mac, ip }) => `<host mac='${mac}' ip='${ip}'`),
    filters: nics.length > 0 ? ['nc-anti-spoof', ...nics.map(({ id }) => `nc-nic-${id}`)] : [],
    links: [...names, ...tunnels],
  };
  const faults = Object.entries(expected)
    .map(([what, wanted]) => ({ what, is: found[what] ?? [], wanted: wanted.toSorted() }))
    .filter(({ is, wanted }) => is.join() !== wanted.join())
    .map(({ what, is, wanted }) => `${host.name} has the ${what} ${is.join(', ')} instead of ${wanted.join(', ')}`);
  if (tunnels.length === 0 && found['guards']?.length !== 0) faults.push(`${host.name} guards tunnels that are gone`);
  if (nics.length === 0 && found['leases']?.length !== 0) faults.push(`${host.name} remembers leases of nobody`);
  return faults;
}
