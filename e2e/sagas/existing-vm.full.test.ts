import { domainName } from '@novacron/contracts';
import { eventually } from '@novacron/testkit';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Loose } from '../kit/client.ts';
import { disturbance, onward, proveSagas, saga, sagaStep } from '../kit/sagas.ts';
import { Operation, type Vm } from '../kit/vm.ts';
import { networkName } from '../network/network.ts';
import { Volume } from '../storage/storage.ts';
import { createWhole, remove, startSagaFleet, type SagaFleet } from './fleet.ts';
import { inOrder } from './house.ts';

/** The proofs of deleteVm and startVm of a VM with all that other services have given it. */

let fleet: SagaFleet;
let imageId: string;
const trouble = disturbance();

beforeAll(async () => {
  fleet = await startSagaFleet(trouble);
  imageId = await fleet.importImage();
}, 300_000);
afterAll(() => fleet?.close());

async function have(more: object): Promise<Vm> {
  const { vm, operation } = await createWhole(fleet, imageId, more);
  await operation.succeeds(120_000);
  return vm;
}

async function askDelete(vm: Vm, keepVolumes: boolean): Promise<Operation> {
  const { deleteVm } = await fleet.alice.run('mutation ($id: ID!, $keepVolumes: Boolean) { deleteVm(id: $id, keepVolumes: $keepVolumes) { operation { id } } }', { id: vm.id, keepVolumes });
  return new Operation(fleet.alice, deleteVm.operation.id);
}

/** The disk that it boots from, also once it is gone. */
const bootDiskOf = async (vm: Vm): Promise<Volume> => {
  const [row] = await fleet.system.sql("SELECT id FROM storage.volume WHERE vm_id = $1 AND owned_by_vm", [vm.id]);
  return new Volume(fleet.alice, row?.['id']);
};

interface Doomed {
  vm: Vm;
  /** That was there before. */
  volume: Volume;
  bootDisk: Volume;
}
const doom = async (vm: Vm, volume: Volume): Promise<Doomed> => ({ vm, volume, bootDisk: await bootDiskOf(vm) });

const lookAtDoomed = async ({ vm, volume, bootDisk }: Doomed) => ({
  vm: (await vm.read('state'))['state'],
  volume: (await volume.read())['state'],
  isIntact: await fleet.isIntact(volume),
  bootDisk: (await bootDisk.read())['state'],
});

/** Deletes what a case has left. */
async function clear({ vm, bootDisk }: Doomed): Promise<void> {
  await remove(vm);
  if ((await bootDisk.read())['state'] !== 'DELETED') await bootDisk.does((one) => one.delete());
}

const SAGAS = [
  saga<Doomed>({
    title: 'deleteVm',
    prepare: async () => doom(await have({ volumes: [fleet.plain.id] }), fleet.plain),
    ask: ({ vm }) => askDelete(vm, false),
    look: lookAtDoomed,
    before: { vm: 'RUNNING', volume: 'IN_USE', isIntact: true, bootDisk: 'IN_USE' },
    after: { vm: 'DELETED', volume: 'AVAILABLE', isIntact: true, bootDisk: 'DELETED' },
    steps: [
      // what is gone can't be brought back: the VM says so, and can be deleted again
      { name: 'vms.delete', final: true, failedAfter: { vm: 'ERROR', volume: 'IN_USE', isIntact: true, bootDisk: 'IN_USE' } },
      onward('network.drop-nics'),
      onward('storage.drop-disks'),
      onward('vms.bury'),
    ],
    cleanUp: clear,
  }),
  saga<Doomed>({
    title: 'deleteVm, volumes kept',
    prepare: async () => doom(await have({ volumes: [fleet.secret.id], start: false }), fleet.secret),
    ask: ({ vm }) => askDelete(vm, true),
    look: lookAtDoomed,
    before: { vm: 'STOPPED', volume: 'IN_USE', isIntact: true, bootDisk: 'IN_USE' },
    after: { vm: 'DELETED', volume: 'AVAILABLE', isIntact: true, bootDisk: 'AVAILABLE' },
    steps: [onward('storage.drop-disks')],
    cleanUp: clear,
  }),
  saga<Vm>({
    title: 'startVm, libvirtd was restarted',
    async prepare() {
      const vm = await have({ volumes: [fleet.secret.id], start: false });
      await restartLibvirtd();
      return vm;
    },
    ask: (vm) => vm.asks('start'),
    look: async (vm) => ({ vm: (await vm.read('state'))['state'], isIntact: await fleet.isIntact(fleet.secret) }),
    before: { vm: 'STOPPED', isIntact: true },
    after: { vm: 'RUNNING', isIntact: true },
    steps: [sagaStep('storage.unlock-disks'), sagaStep('vms.start')],
    undone: ['vms.start'],
    cleanUp: remove,
  }),
];

/** What it holds in memory alone is forgotten. */
async function restartLibvirtd(): Promise<void> {
  const { host } = fleet.system;
  await host.killDaemon('SIGKILL');
  await host.startDaemon();
  await eventually('the host to be seen again', async () => {
    const found = await fleet.admin.run('query ($id: ID!) { host(id: $id) { state } }', { id: fleet.hostIds[0] });
    return found['host'].state === 'ONLINE' && (await fleet.system.sql("SELECT FROM storage.pool_host WHERE state <> 'READY'")).length === 0;
  }, { timeoutMs: 60_000 });
}

proveSagas({ sagas: SAGAS, disturbance: trouble, system: () => fleet.system, nothingLeftBehind: () => inOrder(fleet.system), timeoutMs: 240_000 });

describe('what is not there any more', () => {
  const SUCCEEDED = { state: 'SUCCEEDED', error: null };
  afterEach(() => eventually('a house in order', async () => (await inOrder(fleet.system), true), { timeoutMs: 60_000 }));

  const secretOf = async (volume: Volume): Promise<string> => (await fleet.system.sql('SELECT secret_id FROM storage.volume WHERE id = $1', [volume.id]))[0]?.['secret_id'];

  it('a secret that someone removed is given to libvirt again before the VM starts', async () => {
    const vm = await have({ volumes: [fleet.secret.id], start: false });
    await fleet.system.host.virsh('secret-undefine', await secretOf(fleet.secret));
    expect(await (await vm.asks('start')).ends(120_000)).toMatchObject(SUCCEEDED);
    await remove(vm);
  }, 240_000);

  it.each([true, false])('a VM is deleted whose files are gone; libvirt knows: %s', async (isTold) => {
    const vm = await have({ start: false });
    const files: Loose[] = await fleet.system.sql(`
      SELECT p.path || '/' || v.libvirt_name AS path FROM storage.volume v JOIN storage.pool p ON p.id = v.pool_id WHERE v.vm_id = $1
      UNION ALL SELECT p.path || '/' || s.libvirt_name FROM storage.seed s JOIN storage.pool p ON p.id = s.pool_id WHERE s.vm_id = $1`, [vm.id]);
    expect(files).toHaveLength(2); // its boot disk and its seed
    for (const { path } of files) await fleet.system.host.exec('rm', path);
    if (isTold) await fleet.system.host.virsh('pool-refresh', 'nc-local');
    expect(await (await vm.asks('delete')).ends(90_000)).toMatchObject(SUCCEEDED);
  }, 120_000);

  it('a VM is deleted whose networks and filters someone removed, and whose domain someone destroyed', async () => {
    const vm = await have({});
    const { host } = fleet.system;
    await host.virsh('destroy', domainName(vm.id));
    await host.virsh('undefine', domainName(vm.id));
    for (const id of fleet.networks) await host.virsh('net-destroy', networkName(id));
    await host.virsh('net-undefine', networkName(fleet.networks[1]));
    expect(await (await vm.asks('delete')).ends(90_000)).toMatchObject(SUCCEEDED);
  }, 120_000);
});
