import { domainName } from '@novacron/contracts';
import { agentGuest, bootImage, eventually, guestExec, guestReady, startImageServer, type ImageServer } from '@novacron/testkit';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Loose } from '../kit/client.ts';
import { Operation, Vm } from '../kit/vm.ts';
import { haveVolume, localPools, nothingLeftBehind, type Volume } from '../storage/storage.ts';
import { claimsAddUp, haveVmOn, isOnlyOn, MIB, migrate, refused, startFleet, type Fleet } from './moves.ts';

/** A VM that is off moves with the disks that its hosts do not share: their files, byte by byte. */

let fleet: Fleet;
let server: ImageServer;
let here: string;
let there: string;
let imageId: string;

beforeAll(async () => {
  const [image, { bootDir }] = [await bootImage(), await agentGuest()];
  server = await startImageServer({ '/image.qcow2': image.path });
  fleet = await startFleet({ bootDirectories: [bootDir] }, { NOVACRON_IMPORT_ALLOW: '127.0.0.1/32' });
  [here, there] = fleet.hostIds as [string, string]; // startFleet registers two
  const { importImage } = await fleet.operator.run('mutation ($input: ImportImageInput!) { importImage(input: $input) { image { id } operation { id } } }', {
    input: { name: 'guest', url: `${server.url}/image.qcow2`, poolId: await pool(here) },
  });
  await new Operation(fleet.operator, importImage.operation.id).succeeds();
  imageId = importImage.image.id;
}, 180_000);
afterEach(async () => {
  await claimsAddUp(fleet);
  await eventually('a clean house', async () => (await nothingLeftBehind(fleet.system), true), { timeoutMs: 10_000 });
});
afterAll(async () => {
  await fleet?.close();
  await server?.stop();
});

const pool = async (hostId: string): Promise<string | undefined> => (await localPools(fleet.system)).get(hostId);
const inGuest = (vm: Vm, hostId: string, command: string): Promise<string> => guestExec(fleet.hostOf(hostId), domainName(vm.id), command);
const ready = (vm: Vm, hostId: string): Promise<unknown> => guestReady(fleet.hostOf(hostId), domainName(vm.id));

async function haveClone(name: string): Promise<Vm> {
  const { createVm } = await fleet.operator.run('mutation ($input: CreateVmInput!) { createVm(input: $input) { vm { id } operation { id } } }', {
    input: { name, memory: '128MiB', imageId, networks: [], placement: { hostId: here }, cloudInit: { hostname: name } },
  });
  await new Operation(fleet.operator, createVm.operation.id).succeeds(90_000);
  return new Vm(fleet.operator, createVm.vm.id, name);
}

async function haveKernelBoot(): Promise<Vm> {
  const { kernel, initrd, cmdline } = await agentGuest();
  return haveVmOn(fleet, here, { memory: '128MiB', kernel: { kernel, initrd, cmdline } });
}

/** A volume of the VM's with `mib` MiB of noise in it. */
async function written(vm: Vm, mib: number, input: Loose): Promise<{ volume: Volume; device: string }> {
  const volume = await haveVolume(fleet.operator, { size: '32MiB', poolId: await pool(here), ...input });
  const { device } = await volume.does((one) => one.attach(vm.id));
  await eventually('the disk in the guest', () => inGuest(vm, here, `test -b /dev/${device}`).then(() => true));
  await inGuest(vm, here, `dd if=/dev/urandom of=/dev/${device} bs=1M seek=1 count=${mib} conv=notrunc,fsync 2>/dev/null`);
  await inGuest(vm, here, `echo before the move | dd of=/dev/${device} bs=512 seek=100 conv=notrunc,fsync`);
  return { volume, device };
}

/** What each of the VM's disks is on a host, byte by byte. */
async function sums(vm: Vm, hostId: string): Promise<string[]> {
  const rows = await fleet.system.sql('SELECT p.path || \'/\' || v.libvirt_name AS path FROM storage.volume v JOIN storage.pool p ON p.id = v.pool_id WHERE v.vm_id = $1 ORDER BY v.target', [vm.id]);
  return Promise.all(rows.map(async (row) => (await fleet.hostOf(hostId).exec('sha256sum', row['path'])).split(' ')[0] ?? ''));
}

async function gone(vm: Vm, ...volumes: Volume[]): Promise<void> {
  await vm.does('delete');
  for (const volume of volumes) await (await volume.delete()).operation.succeeds();
}

const offline = (vm: Vm, more: Loose = {}) => migrate(fleet.operator, { vmId: vm.id, hostId: there, mode: 'OFFLINE', copyStorage: true, ...more });

describe('a VM that is off', () => {
  it('moves with its clone of an image, which stands on the image over there, and with its seed', async () => {
    const vm = await haveClone('cloned');
    await ready(vm, here);
    await inGuest(vm, here, 'echo before the move | dd of=/dev/vda bs=512 seek=1 count=1 conv=notrunc,fsync 2>/dev/null');
    await vm.bring('STOPPED');
    expect(await refused(fleet.operator, { vmId: vm.id, hostId: there, mode: 'OFFLINE' })).toMatchObject({ code: 'INVALID_STATE', message: expect.stringContaining('copied') });
    const before = await sums(vm, here);
    const ended = await (await offline(vm)).ends();
    expect(ended).toMatchObject({ state: 'SUCCEEDED', error: null, downtimeMs: null, progress: 1 });
    expect(ended['disksTransferred']).toBeGreaterThan(0);
    await isOnlyOn(fleet, vm, there, 'STOPPED');
    expect(await sums(vm, there)).toEqual(before);
    expect(await fleet.system.sql('SELECT pool_id, image_id FROM storage.volume WHERE vm_id = $1', [vm.id])).toEqual([{ pool_id: await pool(there), image_id: imageId }]);
    await vm.does('start');
    await ready(vm, there);
    expect(await inGuest(vm, there, 'hostname')).toBe('cloned');
    expect(await inGuest(vm, there, 'dd if=/dev/vda bs=512 skip=1 count=1 2>/dev/null | head -n 1')).toContain('before the move');
    await gone(vm);
  }, 300_000);

  it('moves with volumes, raw ones, and encrypted ones that nobody opens', async () => {
    const vm = await haveKernelBoot();
    await ready(vm, here);
    const disks = [await written(vm, 4, { format: 'qcow2' }), await written(vm, 4, { format: 'raw' }), await written(vm, 4, { format: 'raw', encrypted: true }), await written(vm, 4, { format: 'qcow2', encrypted: true })];
    await vm.bring('STOPPED');
    const before = await sums(vm, here);
    expect(new Set(before).size).toBe(4);
    expect(await (await offline(vm)).ends(120_000)).toMatchObject({ state: 'SUCCEEDED', error: null });
    await isOnlyOn(fleet, vm, there, 'STOPPED');
    expect(await sums(vm, there)).toEqual(before);
    await vm.does('start');
    await ready(vm, there);
    for (const { device } of disks) {
      expect(await inGuest(vm, there, `dd if=/dev/${device} bs=512 skip=100 count=1 iflag=direct 2>/dev/null | head -n 1`)).toContain('before the move');
    }
    await gone(vm, ...disks.map(({ volume }) => volume));
  }, 300_000);

  it('stays, and leaves nothing behind, when that is cancelled while its disks are copied', async () => {
    const vm = await haveKernelBoot();
    await ready(vm, here);
    const { volume } = await written(vm, 24, { format: 'raw' });
    await vm.bring('STOPPED');
    const before = await sums(vm, here);
    const move = await offline(vm, { bandwidthBytesPerSecond: MIB });
    await move.becomes('COPYING_DISKS');
    await eventually('a part of it to be there', async () => (await move.read())['disksTransferred'] > 2 * MIB, { timeoutMs: 30_000 });
    await move.cancel();
    const ended = await move.ends();
    expect(ended).toMatchObject({ state: 'CANCELLED', error: null });
    expect(ended['disksTransferred']).toBeLessThan(24 * MIB);
    await isOnlyOn(fleet, vm, here, 'STOPPED');
    expect(await sums(vm, here)).toEqual(before);
    await vm.does('start');
    await ready(vm, here);
    await gone(vm, volume);
  }, 300_000);

  it('moves though the process that copies its disks is killed', async () => {
    const vm = await haveKernelBoot();
    await ready(vm, here);
    const { volume } = await written(vm, 16, { format: 'qcow2' });
    await vm.bring('STOPPED');
    const before = await sums(vm, here);
    const move = await offline(vm, { bandwidthBytesPerSecond: 4 * MIB });
    await eventually('a part of it to be there', async () => (await move.read())['disksTransferred'] > MIB, { timeoutMs: 30_000 });
    await fleet.system.stop({ force: true });
    await fleet.system.start();
    expect(await move.ends(90_000)).toMatchObject({ state: 'SUCCEEDED', error: null });
    await isOnlyOn(fleet, vm, there, 'STOPPED');
    expect(await sums(vm, there)).toEqual(before);
    await gone(vm, volume);
  }, 300_000);

  it('stays when someone starts it on its host meanwhile', async () => {
    const vm = await haveKernelBoot();
    await ready(vm, here);
    const { volume } = await written(vm, 16, { format: 'raw' });
    await vm.bring('STOPPED');
    const move = await offline(vm, { bandwidthBytesPerSecond: 4 * MIB });
    await eventually('a part of it to be there', async () => (await move.read())['disksTransferred'] > MIB, { timeoutMs: 30_000 });
    await fleet.hostOf(here).virsh('start', domainName(vm.id));
    expect(await move.ends()).toMatchObject({ state: 'ROLLED_BACK', error: { code: 'INVALID_STATE', field: 'vmId', message: expect.stringContaining('was started on its host') } });
    await isOnlyOn(fleet, vm, here, 'RUNNING');
    await gone(vm, volume);
  }, 300_000);

  it('stays when its clone would not find the image over there', async () => {
    const vm = await haveClone('astray');
    await vm.bring('STOPPED');
    const [row] = await fleet.system.sql<{ path: string }>("SELECT p.path || '/' || v.libvirt_name AS path FROM storage.volume v JOIN storage.pool p ON p.id = v.pool_id WHERE v.vm_id = $1", [vm.id]);
    const host = fleet.hostOf(here);
    await host.exec('qemu-img', 'rebase', '-u', '-f', 'qcow2', '-b', '/var/lib/elsewhere', '-F', 'qcow2', row?.path ?? '');
    await host.virsh('pool-refresh', 'nc-local');
    const ended = await (await offline(vm)).ends();
    expect(ended).toMatchObject({ state: 'ROLLED_BACK', error: { code: 'INVALID_STATE', field: 'hostId', message: expect.stringMatching(/^[^/]*has its image at another place[^/]*$/) } });
    await isOnlyOn(fleet, vm, here, 'STOPPED');
    await gone(vm);
  }, 240_000);

  it('leaves a host that is emptied', async () => {
    const vm = await haveClone('emptied');
    await vm.bring('STOPPED');
    const maintain = async (on: boolean): Promise<Operation> => {
      const { setHostMaintenance } = await fleet.admin.run('mutation ($id: ID!, $on: Boolean!) { setHostMaintenance(id: $id, on: $on) { operation { id } } }', { id: here, on });
      return new Operation(fleet.admin, setHostMaintenance.operation.id);
    };
    await (await maintain(true)).succeeds(120_000);
    expect((await fleet.admin.run('query ($id: ID!) { host(id: $id) { state drainBlockers { reason } } }', { id: here }))['host']).toEqual({ state: 'MAINTENANCE', drainBlockers: [] });
    await isOnlyOn(fleet, vm, there, 'STOPPED');
    await vm.does('start');
    await ready(vm, there);
    await gone(vm);
    await maintain(false);
    await eventually('the host to be back', async () => (await fleet.admin.run('query ($id: ID!) { host(id: $id) { state } }', { id: here }))['host'].state === 'ONLINE');
  }, 300_000);
});
