import { agentGuest, eventually, guestExec, guestReady, type Guest, type TestHost } from '@novacron/testkit';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Graph } from '../kit/client.ts';
import { startEmbedded, type Embedded } from '../kit/embedded.ts';
import { makePeople } from '../kit/people.ts';
import { Operation } from '../kit/vm.ts';
import { addressesOf, createGroup, createNetwork, defaultNetwork, domainOf, footprintOf, haveVm, nothingLeftBehind, registerHosts, setGroups } from './network.ts';

let system: Embedded;
let alice: Graph;
let guest: Guest;
let hostIds: string[];

beforeAll(async () => {
  guest = await agentGuest();
  system = await startEmbedded({}, { hosts: 2, bootDirectories: [guest.bootDir] });
  const people = await makePeople(system.graph);
  alice = system.graph.as(people.tenantAdmin);
  hostIds = await registerHosts(system, system.graph.as(people.platformAdmin));
}, 120_000);
afterAll(() => system?.close());

const hostAt = (index: number): TestHost => system.hosts[index] as TestHost; // two were started

it('a VM keeps its addresses, its filters and its neighbours when it moves', async () => {
  const across = await createNetwork(alice, { name: 'across', kind: 'OVERLAY', cidr: '10.9.2.0/24' });
  const networks = [(await defaultNetwork(alice))['id'], across['id']];
  const vmOn = (index: number, on: string[]) => haveVm(alice, guest, { memory: '128MiB', networks: on, placement: { hostId: hostIds[index] } });
  const [mover, stayer] = [await vmOn(0, networks), await vmOn(0, [across['id']])];
  const before = await addressesOf(alice, mover);
  const [neighbour] = await addressesOf(alice, stayer);
  await guestReady(hostAt(0), domainOf(mover));
  const group = await createGroup(alice, { name: 'pings', rules: [{ direction: 'EGRESS', protocol: 'ICMP' }] });
  await setGroups(alice, before[1]?.['id'], [group]);

  const { migrateVm } = await alice.run('mutation ($input: MigrateVmInput!) { migrateVm(input: $input) { operation { id } } }', { input: { vmId: mover.id, hostId: hostIds[1] } });
  await new Operation(alice, migrateVm.operation.id).succeeds(90_000);

  const after = await addressesOf(alice, mover);
  expect(after.map(({ mac, address }) => ({ mac, address }))).toEqual(before.map(({ mac, address }) => ({ mac, address })));
  await guestReady(hostAt(1), domainOf(mover));
  const ping = (address: string): Promise<string> => guestExec(hostAt(1), domainOf(mover), `ping -c 1 -W 2 ${address}`);
  await eventually('the neighbour that stayed to answer', () => ping(neighbour?.['address']), { timeoutMs: 20_000 });
  await eventually('the gateway to answer', () => ping(String(before[0]?.['address']).replace(/\d+$/, '1')), { timeoutMs: 20_000 });
  await eventually('a lease to be renewed', () => guestExec(hostAt(1), domainOf(mover), 'udhcpc -i eth0 -n -q -s /bin/true'), { timeoutMs: 20_000 });

  const [left, here] = [await footprintOf(hostAt(0)), await footprintOf(hostAt(1))];
  const filters = before.map((nic) => `nc-nic-${nic['id']}`);
  expect(left['filters']).toEqual(['nc-anti-spoof', `nc-nic-${neighbour?.['id']}`]);
  expect(left['entries']).toHaveLength(1);
  expect(here['filters']).toEqual(['nc-anti-spoof', ...filters, `nc-sg-${group}`].toSorted());
  expect(here['entries']).toHaveLength(2);
  await Promise.all([mover.does('delete'), stayer.does('delete')]);
  await nothingLeftBehind(system);
}, 240_000);
