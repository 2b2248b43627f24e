import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { domainName } from '@novacron/contracts';
import { agentGuest, eventually, guestExec, guestReady } from '@novacron/testkit';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Loose } from '../kit/client.ts';
import type { Vm } from '../kit/vm.ts';
import { createPool, haveVolume, nothingLeftBehind, type Volume } from '../storage/storage.ts';
import { claimsAddUp, haveVmOn, isOnlyOn, MIB, migrate, refused, startFleet, type Fleet } from './moves.ts';

/** A guest moves with its disks and its address: what it wrote is there, and it goes on writing. */

let fleet: Fleet;
let vm: Vm;
let here: string;
let there: string;
let shared: string;
const directory = mkdtempSync(join(tmpdir(), 'shared-'));

beforeAll(async () => {
  const guest = await agentGuest();
  fleet = await startFleet({ bootDirectories: [guest.bootDir] });
  [here, there] = fleet.hostIds as [string, string]; // startFleet registers two
  const pool = await createPool(fleet.admin, { name: 'common', hostIds: fleet.hostIds, path: directory, shared: true });
  await pool.operation.succeeds();
  shared = pool.id;
  const { kernel, initrd, cmdline } = guest;
  vm = await haveVmOn(fleet, here, { memory: '128MiB', kernel: { kernel, initrd, cmdline }, networks: null });
  await ready();
});
afterEach(async () => {
  await claimsAddUp(fleet);
  await eventually('a clean house', async () => (await nothingLeftBehind(fleet.system), true), { timeoutMs: 10_000 });
});
afterAll(async () => {
  await fleet?.close();
  rmSync(directory, { recursive: true, force: true });
});

const hostId = async (): Promise<string> => (await vm.read('host { id }'))['host'].id;
const elsewhere = async (): Promise<string> => ((await hostId()) === here ? there : here);
const ready = async (): Promise<void> => guestReady(fleet.hostOf(await hostId()), domainName(vm.id)).then(() => undefined);
const inGuest = async (command: string): Promise<string> => guestExec(fleet.hostOf(await hostId()), domainName(vm.id), command);
const localPool = async (): Promise<string> => {
  const [row] = await fleet.system.sql("SELECT p.id FROM storage.pool p JOIN storage.pool_host h ON h.pool_id = p.id WHERE p.name = 'local' AND h.host_id = $1", [await hostId()]);
  return row?.['id'];
};

/** A volume that the guest has and has written to; answers its device. */
async function written(input: Loose): Promise<{ volume: Volume; device: string }> {
  const volume = await haveVolume(fleet.operator, { size: '16MiB', ...input });
  const { device } = await volume.does((one) => one.attach(vm.id));
  await eventually('the disk in the guest', () => inGuest(`test -b /dev/${device}`).then(() => true));
  await inGuest(`echo before the move | dd of=/dev/${device} bs=512 seek=100 conv=notrunc,fsync`);
  return { volume, device };
}

/** What the guest wrote is there, and it can write on. */
async function isThere(device: string): Promise<void> {
  expect(await inGuest(`dd if=/dev/${device} bs=512 skip=100 count=1 iflag=direct 2>/dev/null | head -n 1`)).toContain('before the move');
  await inGuest(`echo after the move | dd of=/dev/${device} bs=512 seek=200 conv=notrunc,fsync`);
  expect(await inGuest(`dd if=/dev/${device} bs=512 skip=200 count=1 iflag=direct 2>/dev/null | head -n 1`)).toContain('after the move');
}

async function gone({ volume }: { volume: Volume }): Promise<void> {
  await volume.does((one) => one.detach());
  await (await volume.delete()).operation.succeeds();
}

describe.each([
  ['qcow2', false],
  ['raw', true],
])('with a %s volume that the hosts do not share, encrypted: %s', (format, encrypted) => {
  it('is refused unless it is copied, and runs on the copy then', async () => {
    const disk = await written({ format, encrypted, poolId: await localPool() });
    const target = await elsewhere();
    expect(await refused(fleet.operator, { vmId: vm.id, hostId: target })).toMatchObject({ code: 'INVALID_STATE', field: 'hostId', message: expect.stringContaining('copied') });
    expect(await refused(fleet.operator, { vmId: vm.id })).toMatchObject({ code: 'NO_CAPACITY', field: 'hostId' });
    const move = await migrate(fleet.operator, { vmId: vm.id, hostId: target, copyStorage: true });
    await move.operation.succeeds(90_000);
    const done = await move.read();
    expect(done).toMatchObject({ state: 'SUCCEEDED', copyStorage: true });
    expect(done['disksTransferred']).toBeGreaterThanOrEqual(16 * MIB);
    await isOnlyOn(fleet, vm, target);
    expect((await disk.volume.read())['pool'].id).toBe(await localPool());
    await isThere(disk.device);
    await gone(disk);
  }, 180_000);
});

describe.each([false, true])('with a volume on storage that both hosts share, encrypted: %s', (encrypted) => {
  it('copies nothing, and runs on the same volume, even where copies were asked for', async () => {
    const disk = await written({ poolId: shared, encrypted });
    for (const copyStorage of [false, true]) {
      const target = await elsewhere();
      const move = await migrate(fleet.operator, { vmId: vm.id, hostId: target, copyStorage });
      await move.operation.succeeds(90_000);
      expect(await move.read()).toMatchObject({ state: 'SUCCEEDED', disksTransferred: null });
      await isOnlyOn(fleet, vm, target);
      await isThere(disk.device);
      await inGuest(`echo before the move | dd of=/dev/${disk.device} bs=512 seek=100 conv=notrunc,fsync`);
    }
    await gone(disk);
  }, 180_000); // opening an encrypted disk takes CPU time on the target, twice
});

describe('cancelled while disks are copied', () => {
  it('leaves the VM and its disk where they were, and nothing on the target', async () => {
    const disk = await written({ format: 'raw', size: '64MiB', poolId: await localPool() });
    await inGuest(`dd if=/dev/urandom of=/dev/${disk.device} bs=1M seek=1 count=48 conv=notrunc,fsync 2>/dev/null`);
    const source = await hostId();
    const move = await migrate(fleet.operator, { vmId: vm.id, hostId: await elsewhere(), copyStorage: true, bandwidthBytesPerSecond: 4 * MIB });
    await move.becomes('COPYING_DISKS');
    await move.cancel();
    expect(await move.ends()).toMatchObject({ state: 'CANCELLED' });
    await isOnlyOn(fleet, vm, source);
    await isThere(disk.device);
    await gone(disk);
  });
});

describe('the network', () => {
  it('follows: the guest keeps its address, on its new host', async () => {
    const [nic] = (await vm.read('nics { address }'))['nics'];
    const target = await elsewhere();
    await (await migrate(fleet.operator, { vmId: vm.id, hostId: target })).operation.succeeds();
    expect((await vm.read('nics { address }'))['nics']).toEqual([nic]);
    expect(await inGuest('ip -4 addr')).toContain(nic.address);
    await eventually('the guest to answer its new host', () => fleet.hostOf(target).exec('busybox', 'ping', '-c', '1', '-W', '1', nic.address));
  });
});
