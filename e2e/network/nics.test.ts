import { agentGuest, eventually, guestExec, guestReady, type Guest, type TestHost } from '@novacron/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Graph, Loose } from '../kit/client.ts';
import { startEmbedded, type Embedded } from '../kit/embedded.ts';
import { makePeople, type People } from '../kit/people.ts';
import type { Vm } from '../kit/vm.ts';
import { addressesOf, askDetach, attachNic, createGroup, createNetwork, deleteNetwork, domainOf, footprintOf, haveVm, nicsOf, nothingLeftBehind, registerHosts, setGroups, updateGroup } from './network.ts';

let system: Embedded;
let people: People;
let alice: Graph;
let guest: Guest;
let hosts: readonly TestHost[];
let hostIds: string[];

beforeAll(async () => {
  guest = await agentGuest();
  system = await startEmbedded({}, { hosts: 2, bootDirectories: [guest.bootDir] });
  people = await makePeople(system.graph);
  alice = system.graph.as(people.tenantAdmin);
  hosts = system.hosts;
  hostIds = await registerHosts(system, system.graph.as(people.platformAdmin));
}, 120_000);
afterAll(() => system?.close());

const hostAt = (index: number): TestHost => hosts[index] as TestHost; // two were started
const inGuest = (vm: Vm, host: TestHost, command: string): Promise<string> => guestExec(host, domainOf(vm), command);
const vmOn = async (index: number, more: Loose = {}): Promise<Vm> => {
  const vm = await haveVm(alice, guest, { memory: '128MiB', placement: { hostId: hostIds[index] }, ...more });
  await guestReady(hostAt(index), domainOf(vm));
  return vm;
};

/** Does the address answer? Asked for a while: what has just been plugged in needs a moment. */
const answers = (vm: Vm, host: TestHost, command: string): Promise<unknown> => eventually(`"${command}" to succeed`, () => inGuest(vm, host, command), { timeoutMs: 20_000 });
const fails = (vm: Vm, host: TestHost, command: string): Promise<unknown> =>
  eventually(`"${command}" to fail`, async () => (await inGuest(vm, host, `${command} >/dev/null 2>&1; echo $?`)) !== '0', { timeoutMs: 20_000 });

describe('a NIC', () => {
  it('is attached and detached while its VM runs, and the guest sees it come and go', async () => {
    const network = await createNetwork(alice, { name: 'plugged', cidr: '10.9.1.0/28' });
    const vm = await vmOn(0);
    const nic = await attachNic(alice, { vmId: vm.id, networkId: network['id'], mac: '52:54:00:AA:BB:01', address: '10.9.1.9' });
    expect(nic).toMatchObject({ mac: '52:54:00:aa:bb:01', address: '10.9.1.9' });
    await eventually('the guest to have it', async () => (await inGuest(vm, hostAt(0), 'ip -4 addr show eth1')).includes('10.9.1.9/'), { timeoutMs: 20_000 });
    expect((await addressesOf(alice, vm)).map((one) => one['address'])).toContain('10.9.1.9');
    const detached = await askDetach(alice, nic['id']);
    await detached.succeeds(90_000);
    expect(await inGuest(vm, hostAt(0), 'ls /sys/class/net')).not.toContain('eth1');
    expect(await nicsOf(alice, vm.id)).toHaveLength(1);
    expect((await footprintOf(hostAt(0)))['networks']).toHaveLength(1);
    await vm.does('delete');
    await deleteNetwork(alice, network['id']);
    await nothingLeftBehind(system);
  }, 180_000);

  it('lets through what its security groups say, changed while connections run', async () => {
    const [server, client] = [await vmOn(0), await vmOn(0)];
    const [[nic = {}]] = [await nicsOf(alice, server.id), await addressesOf(alice, server), await addressesOf(alice, client)];
    await inGuest(server, hostAt(0), 'for port in 80 81; do (while :; do echo hello | nc -l -p $port; done) >/dev/null 2>&1 & done');
    const tcp = (port: number): string => `nc -w 2 ${nic['address']} ${port} </dev/null | grep hello`;
    const ping = `ping -c 1 -W 1 ${nic['address']}`;
    for (const command of [tcp(80), tcp(81), ping]) await answers(client, hostAt(0), command);

    const web = await createGroup(alice, { name: 'web', rules: [{ direction: 'INGRESS', protocol: 'TCP', portFrom: 80 }] });
    await setGroups(alice, nic['id'], [web]);
    await answers(client, hostAt(0), tcp(80));
    await fails(client, hostAt(0), tcp(81));
    await fails(client, hostAt(0), ping);

    await updateGroup(alice, { id: web, rules: [{ direction: 'INGRESS', protocol: 'TCP', portFrom: 81, portTo: 90 }, { direction: 'INGRESS', protocol: 'ICMP', cidr: '10.0.0.0/8' }] });
    await fails(client, hostAt(0), tcp(80));
    await answers(client, hostAt(0), tcp(81));
    await answers(client, hostAt(0), ping);

    const remove = 'mutation ($id: ID!) { deleteSecurityGroup(id: $id) { id } }';
    expect((await alice.refused(remove, { id: web })).extensions).toMatchObject({ code: 'INVALID_STATE' });
    await setGroups(alice, nic['id'], []);
    await answers(client, hostAt(0), tcp(80));
    await alice.run(remove, { id: web });
    expect((await footprintOf(hostAt(0)))['filters']?.filter((name) => name.startsWith('nc-sg-'))).toEqual([]);
    await Promise.all([server.does('delete'), client.does('delete')]);
    await nothingLeftBehind(system);
  }, 180_000);
});

describe('an overlay', () => {
  it('joins guests on different hosts, and leaves nothing', async () => {
    const network = await createNetwork(alice, { name: 'across', kind: 'OVERLAY', cidr: '10.9.2.0/24' });
    expect(network['vni']).toBe(1);
    const [one, two] = [await vmOn(0, { networks: [network['id']] }), await vmOn(1, { networks: [network['id']] })];
    const [[first = {}], [second = {}]] = [await addressesOf(alice, one), await addressesOf(alice, two)];
    await answers(one, hostAt(0), `ping -c 1 -W 2 ${second['address']}`);
    await answers(two, hostAt(1), `ping -c 1 -s 1400 -W 2 ${first['address']}`);
    await answers(two, hostAt(1), 'ping -c 1 -W 2 10.9.2.1');
    expect(await inGuest(one, hostAt(0), 'cat /sys/class/net/eth0/mtu')).toBe('1450');
    expect((await footprintOf(hostAt(0)))['guards']).toHaveLength(2);

    await hostAt(0).exec('ip', 'link', 'delete', `vx-${String(network['id']).replaceAll('-', '').slice(-11)}`);
    await system.stop();
    await system.start();
    await answers(one, hostAt(0), `ping -c 1 -W 2 ${second['address']}`); // the reconciler made it anew

    await Promise.all([one.does('delete'), two.does('delete')]);
    await deleteNetwork(alice, network['id']);
    await nothingLeftBehind(system);
  }, 180_000);
});
