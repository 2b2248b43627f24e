import { eventually, type Guest, type TestHost } from '@novacron/testkit';
import type { Graph, Loose } from '../kit/client.ts';
import type { Embedded } from '../kit/embedded.ts';
import { createVm, Operation, type Vm } from '../kit/vm.ts';

const NIC = 'id mac address ipAddresses network { id name } securityGroups { id name }';

export const domainOf = (vm: { id: string }): string => `nc-${vm.id}`;

/** What libvirt calls a network: prisma/network has the same rule. */
export const networkName = (id: string): string => `nc-${id.replaceAll('-', '').slice(-11)}`;

export const nicsOf = async (graph: Graph, vmId: string): Promise<Loose[]> =>
  (await graph.run(`query ($id: ID!) { vm(id: $id) { nics { ${NIC} } } }`, { id: vmId }))['vm'].nics;

/** Waits until every NIC's guest is seen with the address that is reserved for it. */
export async function addressesOf(graph: Graph, vm: Vm, timeoutMs = 60_000): Promise<Loose[]> {
  return eventually(
    `${vm.name} to be seen with its addresses`,
    async () => {
      const nics = await nicsOf(graph, vm.id);
      if (!nics.every((nic) => nic['ipAddresses'].includes(nic['address']))) throw new Error(JSON.stringify(nics));
      return nics;
    },
    { timeoutMs },
  );
}

export const defaultNetwork = async (graph: Graph): Promise<Loose> => {
  const { networks } = await graph.run('{ networks { edges { node { id name cidr kind isDefault tenant { id } onHosts { state cidr problem host { id name } } } } } }');
  return networks.edges.map((edge: Loose) => edge['node']).find((node: Loose) => node['isDefault']);
};

/** Takes hosts into the fleet, and waits until the default network is up on each. */
export async function registerHosts(system: Embedded, admin: Graph): Promise<string[]> {
  const ids: string[] = [];
  for (const host of system.hosts) ids.push(await system.registerHost(admin, host));
  await eventually('the default network on every host', async () => {
    const network = await defaultNetwork(admin);
    const up = network?.['onHosts'].filter((host: Loose) => host['state'] === 'READY') ?? [];
    if (up.length < ids.length) throw new Error(JSON.stringify(network));
    return true;
  }, { timeoutMs: 20_000 });
  return ids;
}

export async function createNetwork(graph: Graph, input: Loose): Promise<Loose> {
  const { createNetwork: done } = await graph.run(
    'mutation ($input: CreateNetworkInput!) { createNetwork(input: $input) { network { id name kind cidr vni state } operation { id kind state } } }',
    { input },
  );
  await new Operation(graph, done.operation.id).succeeds();
  return done.network;
}

export async function deleteNetwork(graph: Graph, id: string): Promise<void> {
  const { deleteNetwork: done } = await graph.run('mutation ($id: ID!) { deleteNetwork(id: $id) { operation { id } } }', { id });
  await new Operation(graph, done.operation.id).succeeds();
}

export async function createGroup(graph: Graph, input: Loose): Promise<string> {
  return (await graph.run('mutation ($input: CreateSecurityGroupInput!) { createSecurityGroup(input: $input) { id } }', { input }))['createSecurityGroup'].id;
}

export async function updateGroup(graph: Graph, input: Loose): Promise<void> {
  const { updateSecurityGroup: done } = await graph.run(
    'mutation ($input: UpdateSecurityGroupInput!) { updateSecurityGroup(input: $input) { operation { id } } }',
    { input },
  );
  await new Operation(graph, done.operation.id).succeeds();
}

export async function setGroups(graph: Graph, nicId: string, securityGroupIds: readonly string[]): Promise<void> {
  const { setNicSecurityGroups: done } = await graph.run(
    'mutation ($nicId: ID!, $securityGroupIds: [ID!]!) { setNicSecurityGroups(nicId: $nicId, securityGroupIds: $securityGroupIds) { operation { id } } }',
    { nicId, securityGroupIds },
  );
  await new Operation(graph, done.operation.id).succeeds();
}

export async function askAttach(graph: Graph, input: Loose): Promise<{ nic: Loose; operation: Operation }> {
  const { attachNic: done } = await graph.run(`mutation ($input: AttachNicInput!) { attachNic(input: $input) { nic { ${NIC} } operation { id } } }`, { input });
  return { nic: done.nic, operation: new Operation(graph, done.operation.id) };
}

export async function attachNic(graph: Graph, input: Loose): Promise<Loose> {
  const { nic, operation } = await askAttach(graph, input);
  await operation.succeeds();
  return nic;
}

export async function askDetach(graph: Graph, id: string): Promise<Operation> {
  return new Operation(graph, (await graph.run('mutation ($id: ID!) { detachNic(id: $id) { operation { id } } }', { id }))['detachNic'].operation.id);
}

/** A VM that is there. */
export async function haveVm(graph: Graph, guest: Guest, more: Loose): Promise<Vm> {
  const { vm, operation } = await createVm(graph, guest, more);
  await operation.succeeds(90_000);
  return vm;
}

const lines = (text: string): string[] => text.split('\n').map((line) => line.trim()).filter((line) => line !== '');

/** What a host has of ours: networks, leases, filters, bridges and tunnels. */
export async function footprintOf(host: TestHost): Promise<Record<string, string[]>> {
  const networks = lines(await host.virsh('net-list', '--all', '--name')).filter((name) => name.startsWith('nc-'));
  const leases = await Promise.all(networks.map(async (name) => lines(await host.virsh('net-dhcp-leases', name)).map((line) => `${name} ${line.split(/\s+/)[4] ?? ''}`)));
  const entries = await Promise.all(networks.map(async (name) => (await host.virsh('net-dumpxml', name)).match(/<host mac=[^>]*/g) ?? []));
  const filters = lines(await host.virsh('nwfilter-list')).map((line) => line.split(/\s+/)[1] ?? '').filter((name) => name.startsWith('nc-'));
  const links = lines(await host.exec('ip', '-br', 'link')).map((line) => line.split(/\s+/)[0] ?? '').filter((name) => /^(nc|vx)-/.test(name));
  const guards = lines(await host.exec('ebtables', '-t', 'filter', '-L', 'INPUT')).filter((line) => line.includes('vx-'));
  return { networks: networks.toSorted(), leases: leases.flat().toSorted(), entries: entries.flat().toSorted(), filters: filters.toSorted(), links: links.toSorted(), guards: guards.toSorted() };
}

/** Fails, within a few seconds, unless there is no NIC, and every host has its default network and nothing else of ours. */
export async function nothingLeftBehind({ hosts, sql }: Pick<Embedded, 'hosts' | 'sql'>): Promise<void> {
  const [network] = await sql<{ id: string }>('SELECT id FROM network.network WHERE is_default');
  const name = networkName(network?.id ?? '');
  await eventually('nothing to be left behind', async () => {
    const found = {
      nics: await sql('SELECT id, state FROM network.nic'),
      hosts: await sql("SELECT h.* FROM network.network_host h JOIN network.network n ON n.id = h.network_id WHERE NOT n.is_default"),
      left: Object.fromEntries(await Promise.all(hosts.map(async (host) => [host.name, await footprintOf(host)] as const))),
    };
    const empty = { networks: [name], leases: [], entries: [], filters: [], links: [name], guards: [] };
    const expected = { nics: [], hosts: [], left: Object.fromEntries(hosts.map((host) => [host.name, empty])) };
    if (JSON.stringify(found) !== JSON.stringify(expected)) throw new Error(JSON.stringify(found));
    return true;
  });
}
