import { agentGuest, eventually, guestExec, guestReady, type Guest, type TestHost } from '@novacron/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Graph, Loose } from '../kit/client.ts';
import { startEmbedded, type Embedded } from '../kit/embedded.ts';
import { makePeople, type People } from '../kit/people.ts';
import { createVm, type Vm } from '../kit/vm.ts';
import { addressesOf, createNetwork, defaultNetwork, deleteNetwork, domainOf, footprintOf, haveVm, networkName, nicsOf, nothingLeftBehind, registerHosts } from './network.ts';

let system: Embedded;
let people: People;
let admin: Graph;
let alice: Graph;
let guest: Guest;
let hosts: readonly TestHost[];
let hostIds: string[];

beforeAll(async () => {
  guest = await agentGuest();
  system = await startEmbedded({}, { hosts: 2, bootDirectories: [guest.bootDir] });
  people = await makePeople(system.graph);
  [admin, alice] = [system.graph.as(people.platformAdmin), system.graph.as(people.tenantAdmin)];
  hosts = system.hosts;
  hostIds = await registerHosts(system, admin);
}, 120_000);
afterAll(() => system?.close());

const on = (index: number): Loose => ({ memory: '128MiB', placement: { hostId: hostIds[index] } });
const hostAt = (index: number): TestHost => hosts[index] as TestHost; // two were started
const inGuest = (vm: Vm, host: TestHost, command: string): Promise<string> => guestExec(host, domainOf(vm), command);

describe('the default network', () => {
  it('is on every host, under the same name and with the same addresses, and libvirt\'s own is not there', async () => {
    const network = await defaultNetwork(admin);
    expect(network).toMatchObject({ name: 'default', kind: 'NAT', isDefault: true, tenant: null });
    expect(network['onHosts'].map((host: Loose) => host['cidr'])).toEqual([network['cidr'], network['cidr']]);
    for (const host of hosts) expect(await footprintOf(host)).toMatchObject({ networks: [networkName(network['id'])], filters: [], entries: [] });
  });

  it('gives VMs that are made at once addresses of their own', async () => {
    const accepted = await Promise.all(Array.from({ length: 12 }, () => createVm(alice, guest, { ...on(0), memory: '16MiB', start: false })));
    const nics = await Promise.all(accepted.map(async ({ vm }) => (await nicsOf(alice, vm.id))[0] ?? {}));
    expect(new Set(nics.map((nic) => nic['address'])).size).toBe(12);
    expect(new Set(nics.map((nic) => nic['mac'])).size).toBe(12);
    for (const { operation } of accepted) await operation.succeeds(90_000);
    const { entries } = await footprintOf(hostAt(0));
    expect(entries).toHaveLength(12);
    await Promise.all(accepted.map(({ vm }) => vm.does('delete')));
    await nothingLeftBehind(system);
  }, 180_000);

  it('gives the guest its reserved address, lets it out, and drops what it spoofs', async () => {
    const [one, two] = [await haveVm(alice, guest, on(0)), await haveVm(alice, guest, on(0))];
    const [[first = {}], [second = {}]] = [await addressesOf(alice, one), await addressesOf(alice, two)];
    await Promise.all([one, two].map((vm) => guestReady(hostAt(0), domainOf(vm))));
    expect(await inGuest(one, hostAt(0), 'ip -4 addr show eth0')).toContain(` ${first['address']}/`);
    await inGuest(one, hostAt(0), `ping -c 1 -W 3 ${second['address']}`);
    await inGuest(one, hostAt(0), `ping -c 1 -W 3 ${hostAt(1).address}`); // the other host: through NAT
    const spoofed = `${String(first['address']).replace(/\d+$/, '')}250`;
    const spoof = `ip addr add ${spoofed}/16 dev eth0; ping -c 1 -W 1 -I ${spoofed} ${second['address']} >/dev/null; echo $?; ip addr del ${spoofed}/16 dev eth0`;
    expect(await inGuest(one, hostAt(0), spoof)).toBe('1');
    const mac = 'ifconfig eth0 down; ifconfig eth0 hw ether 52:54:00:ba:ad:01 up; ping -c 1 -W 1 ' + second['address'] + ' >/dev/null; echo $?';
    expect(await inGuest(one, hostAt(0), mac)).toBe('1');
    await Promise.all([one.does('delete'), two.does('delete')]);
    await nothingLeftBehind(system);
  }, 180_000);

  it('lets no guest into the tunnels of others\' overlays', async () => {
    const vm = await haveVm(alice, guest, on(0));
    const [nic = {}] = await addressesOf(alice, vm);
    await guestReady(hostAt(0), domainOf(vm));
    const gateway = String(nic['address']).replace(/\d+\.\d+$/, '0.1');
    // what tftp asks for, as the host hears it on that port
    const heardOn = async (port: number): Promise<string> => {
      const listening = hostAt(0).exec('sh', '-c', `timeout 8 nc -u -l -W 1 ${port} || true`);
      await inGuest(vm, hostAt(0), `timeout 5 tftp -g -r a-probe ${gateway} ${port}; true`);
      return listening;
    };
    expect(await heardOn(4788)).toContain('a-probe');
    expect(await heardOn(4789)).toBe('');
    await vm.does('delete');
    await nothingLeftBehind(system);
  }, 120_000);
});

describe('networks of a tenant', () => {
  it('are on a host while a VM needs them, and nobody else sees them', async () => {
    const network = await createNetwork(alice, { name: 'backend', kind: 'ISOLATED', cidr: '10.9.8.0/24' });
    const stranger = system.graph.as(people.stranger);
    expect((await stranger.run('query ($id: ID!) { network(id: $id) { id } }', { id: network['id'] }))['network']).toBeNull();
    expect((await footprintOf(hostAt(1)))['networks']).toHaveLength(1);
    const vm = await haveVm(alice, guest, { ...on(1), networks: [network['id'], (await defaultNetwork(alice))['id']] });
    const nics = await addressesOf(alice, vm);
    expect(nics.map((nic) => nic['network'].name)).toEqual(['backend', 'default']);
    expect(nics[0]?.['address']).toBe('10.9.8.2');
    const refused = await alice.refused('mutation ($id: ID!) { deleteNetwork(id: $id) { operation { id } } }', { id: network['id'] });
    expect(refused.extensions).toMatchObject({ code: 'INVALID_STATE' });

    await hostAt(1).killDaemon('SIGKILL');
    await hostAt(1).exec('sh', '-c', 'kill -9 $(cat /run/libvirt/network/nc-*.pid)');
    await hostAt(1).startDaemon();
    await eventually('its networks to be up', async () => (await hostAt(1).virsh('net-list', '--name')).split('\n').filter((name) => name.startsWith('nc-')).length === 2, { timeoutMs: 20_000 });
    expect((await footprintOf(hostAt(1)))['filters']).toContain(`nc-nic-${nics[0]?.['id']}`);
    await guestReady(hostAt(1), domainOf(vm));
    await eventually('a lease to be had', () => inGuest(vm, hostAt(1), 'udhcpc -i eth0 -n -q -s /bin/true'), { timeoutMs: 30_000 });

    await hostAt(1).virsh('net-destroy', networkName(network['id']));
    await eventually('what someone stopped to be up again', async () => (await hostAt(1).virsh('net-list', '--name')).includes(networkName(network['id'])), { timeoutMs: 20_000 });
    await eventually('its guest to be on it again', () => inGuest(vm, hostAt(1), 'ping -c 1 -W 1 10.9.8.1'), { timeoutMs: 20_000 });
    await vm.does('delete');
    await nothingLeftBehind(system);
    await deleteNetwork(alice, network['id']);
    expect((await alice.run('query ($id: ID!) { network(id: $id) { id } }', { id: network['id'] }))['network']).toBeNull();
  }, 180_000);
});
