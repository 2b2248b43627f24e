import { join } from 'node:path';
import { domainName } from '@novacron/contracts';
import { makePki } from '@novacron/local';
import { agentGuest, eventually, guestExec, guestReady, testRun } from '@novacron/testkit';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import type { Loose } from '../kit/client.ts';
import type { Vm } from '../kit/vm.ts';
import { haveVolume, localPools, type Volume } from '../storage/storage.ts';
import { claimsAddUp, haveVmOn, isOnlyOn, MIB, migrate, startFleet, type Fleet } from './moves.ts';

/** Between hosts whose migrationUri is qemu+tls, nothing of a guest crosses the network in the clear. */

let fleet: Fleet;
let vm: Vm;
let volume: Volume;
let here: string;
let there: string;

beforeAll(async () => {
  const { kernel, initrd, cmdline, bootDir } = await agentGuest();
  fleet = await startFleet({ bootDirectories: [bootDir], libvirt: { tls: true }, migrationUri: ({ name }) => `qemu+tls://${name}/system` });
  [here, there] = fleet.hostIds as [string, string]; // startFleet registers two
  vm = await haveVmOn(fleet, here, { memory: '128MiB', kernel: { kernel, initrd, cmdline } });
  await guestReady(fleet.hostOf(here), domainName(vm.id));
}, 180_000);
afterEach(() => claimsAddUp(fleet));
afterAll(() => fleet?.close());

/** How a migration there ends; the guest runs on here. */
const stays = async (copyStorage: boolean): Promise<Loose> => {
  const ended = await (await migrate(fleet.operator, { vmId: vm.id, hostId: there, copyStorage })).ends();
  await isOnlyOn(fleet, vm, here);
  return ended;
};
const REFUSED = { state: 'ROLLED_BACK', progress: 0, error: { code: 'UNAVAILABLE', message: expect.stringMatching(/certificate.* The VM stayed where it was\.$/) } };

it('says so of its hosts', async () => {
  const { host } = await fleet.admin.run('query ($id: ID!) { host(id: $id) { migrationUri migrationEncrypted } }', { id: there });
  expect(host).toEqual({ migrationUri: 'qemu+tls://hv2/system', migrationEncrypted: true });
});

it('moves memory', async () => {
  const move = await migrate(fleet.operator, { vmId: vm.id, hostId: there });
  expect(await move.ends(90_000)).toMatchObject({ state: 'SUCCEEDED', error: null });
  await isOnlyOn(fleet, vm, there);
  await guestReady(fleet.hostOf(there), domainName(vm.id));
}, 120_000);

it('moves disks, too', async () => {
  const pool = (await localPools(fleet.system)).get(there);
  volume = await haveVolume(fleet.operator, { size: '16MiB', poolId: pool });
  const { device } = await volume.does((one) => one.attach(vm.id));
  const inGuest = (hostId: string, command: string): Promise<string> => guestExec(fleet.hostOf(hostId), domainName(vm.id), command);
  await eventually('the disk in the guest', () => inGuest(there, `test -b /dev/${device}`).then(() => true));
  await inGuest(there, `echo before the move | dd of=/dev/${device} bs=512 seek=100 conv=notrunc,fsync`);
  const move = await migrate(fleet.operator, { vmId: vm.id, hostId: here, copyStorage: true });
  await move.operation.succeeds(90_000);
  expect((await move.read())['disksTransferred']).toBeGreaterThanOrEqual(16 * MIB);
  await isOnlyOn(fleet, vm, here);
  expect(await inGuest(here, `dd if=/dev/${device} bs=512 skip=100 count=1 iflag=direct 2>/dev/null | head -n 1`)).toContain('before the move');
}, 180_000);

it('goes to no host of another authority: one clear error, and the guest runs on', async () => {
  const target = fleet.hostOf(there);
  const dir = (await testRun()).makeDirectory('foreign');
  const [foreign] = (await makePki(dir, [{ name: target.name, addresses: [target.address] }])).hosts;
  await target.exec('cp', '-r', join(foreign?.directory ?? '', 'qemu'), '/etc/pki/');
  expect(await stays(true)).toMatchObject(REFUSED); // QEMU's, for disks
  await volume.does((one) => one.detach());
  expect(await stays(false)).toMatchObject(REFUSED); // QEMU's, for memory
  await target.exec('cp', '-r', join(foreign?.directory ?? '', 'libvirt'), join(foreign?.directory ?? '', 'CA'), '/etc/pki/');
  await target.killDaemon();
  await target.startDaemon();
  await eventually('the target to be back', async () => (await fleet.admin.run('query ($id: ID!) { host(id: $id) { state } }', { id: there }))['host'].state === 'ONLINE', { timeoutMs: 20_000 });
  expect(await stays(false)).toMatchObject(REFUSED); // libvirt's
  await guestReady(fleet.hostOf(here), domainName(vm.id));
}, 180_000);
