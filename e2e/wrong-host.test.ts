import { eventually } from '@novacron/testkit';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Graph } from './kit/client.ts';
import { startEmbedded, type Embedded } from './kit/embedded.ts';
import { makePeople } from './kit/people.ts';
import { haveVm } from './kit/vm.ts';

/** On a host that is not the one that was registered, nothing is done. */

let system: Embedded;
let admin: Graph;
let operator: Graph;

beforeAll(async () => {
  system = await startEmbedded();
  const people = await makePeople(system.graph);
  admin = system.graph.as(people.platformAdmin);
  operator = system.graph.as(people.operator);
  await system.registerHost(admin);
});
afterAll(() => system?.close());

it('another machine at the address of a host is left alone, and the host comes back when it answers itself', async () => {
  const [{ id, libvirt_uuid: uuid }] = (await system.sql<{ id: string; libvirt_uuid: string }>("SELECT id, libvirt_uuid FROM vms.host")) as [{ id: string; libvirt_uuid: string }];
  const hostIs = (state: string, problem: unknown) =>
    eventually(`the host to be ${state}`, async () => {
      const [row] = await system.sql('SELECT state, problem FROM vms.host WHERE id = $1', [id]);
      expect(row).toEqual({ state, problem });
      return true;
    }, { timeoutMs: 30_000 });
  await system.host.killDaemon();
  await hostIs('OFFLINE', expect.stringMatching("can't be reached"));
  await system.sql('UPDATE vms.host SET libvirt_uuid = gen_random_uuid() WHERE id = $1', [id]);
  await system.host.startDaemon();
  await system.host.virsh('pool-destroy', 'nc-local');
  await hostIs('OFFLINE', 'Another machine answers at its address.');
  expect((await system.host.virsh('pool-list', '--name')).trim()).toBe('');

  await system.sql('UPDATE vms.host SET libvirt_uuid = $2 WHERE id = $1', [id, uuid]);
  await hostIs('ONLINE', null);
  expect((await system.host.virsh('pool-list', '--name')).trim()).toBe('nc-local');
});

it('a second registration of one host is refused, and what the first has there stays', async () => {
  await haveVm(operator, system.guest, { start: false });
  const name = (await system.host.virsh('net-list', '--all', '--name')).split('\n').find((one) => one.startsWith('nc-')) ?? '';
  const entries = async () => (await system.host.virsh('net-dumpxml', name)).match(/<host mac=/g)?.length ?? 0;
  const filters = async () => (await system.host.virsh('nwfilter-list')).match(/nc-nic-/g)?.length ?? 0;
  expect([await entries(), await filters()]).toEqual([1, 1]);
  const uri = system.host.uri.replace('socket=/', 'socket=//');
  const { registerHost: host } = await admin.run('mutation ($uri: String!) { registerHost(input: { name: "again", uri: $uri }) { id } }', { uri });
  await eventually('the second one to be refused', async () => {
    const [row] = await system.sql('SELECT state, problem FROM vms.host WHERE id = $1', [host.id]);
    expect(row).toMatchObject({ state: 'OFFLINE', problem: expect.stringMatching('registered as') });
    return true;
  }, { timeoutMs: 30_000 });
  expect([await entries(), await filters()]).toEqual([1, 1]);
  expect(await system.sql('SELECT FROM storage.pool_host WHERE host_id = $1', [host.id])).toEqual([]);
});
