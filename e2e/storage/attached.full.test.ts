import { domainName } from '@novacron/contracts';
import { createSecrets } from '@novacron/secrets';
import { agentGuest, eventually, guestExec, guestReady } from '@novacron/testkit';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Graph } from '../kit/client.ts';
import { startEmbedded, type Embedded } from '../kit/embedded.ts';
import { makePeople, type People } from '../kit/people.ts';
import { haveVm, type Vm } from '../kit/vm.ts';
import { createVolume, deleteSnapshot, haveVolume, localPools, MIB, nothingLeftBehind } from './storage.ts';

/** Volumes that a guest has, as the guest sees them. */

let system: Embedded;
let people: People;
let operator: Graph;
let vm: Vm;
let otherHost: string;

const inGuest = (command: string): Promise<string> => guestExec(system.host, domainName(vm.id), command);
const bytesOf = async (device: string): Promise<number> => Number(await inGuest(`cat /sys/block/${device}/size`)) * 512;

beforeAll(async () => {
  const guest = await agentGuest();
  system = await startEmbedded({}, { hosts: 2, bootDirectories: [guest.bootDir] });
  people = await makePeople(system.graph);
  operator = system.graph.as(people.operator);
  const admin = system.graph.as(people.platformAdmin);
  const [first, second] = [await system.registerHost(admin), await system.registerHost(admin, system.hosts[1])];
  otherHost = second;
  await eventually('the pools of both hosts', async () => (await localPools(system)).size === 2);
  vm = await haveVm(operator, guest, { memory: '128MiB', networks: [], placement: { hostId: first } });
  await guestReady(system.host, domainName(vm.id));
});
afterEach(() => eventually('a clean house', async () => (await nothingLeftBehind(system), true), { timeoutMs: 10_000 }));
afterAll(() => system?.close());

const poolOf = async (hostId: string): Promise<string> => {
  const id = (await localPools(system)).get(hostId);
  if (id === undefined) throw new Error('The host has no pool.');
  return id;
};
const here = async (): Promise<string> => poolOf((await vm.read('host { id }'))['host'].id);

describe.each([
  ['qcow2', false],
  ['raw', false],
  ['qcow2', true],
  ['raw', true],
])('a %s volume, encrypted: %s', (format, encrypted) => {
  it('is found by the guest, grows before its eyes, keeps what was written, and goes when it lets go', async () => {
    const volume = await haveVolume(operator, { size: '16MiB', format, encrypted, poolId: await here() });
    const device = (await volume.does((one) => one.attach(vm.id)))['device'];
    expect(await volume.read()).toMatchObject({ state: 'IN_USE', attachedTo: { id: vm.id }, device: 'vda' });
    expect(await vm.read('disks { device boot volume { id } } volumes { id }')).toEqual({ disks: [{ device: 'vda', boot: false, volume: { id: volume.id } }], volumes: [{ id: volume.id }] });
    await eventually('the disk in the guest', () => inGuest(`test -b /dev/${device}`).then(() => true));
    expect(await bytesOf(device)).toBe(16 * MIB);
    await inGuest(`echo written here | dd of=/dev/${device} bs=512 seek=100 conv=notrunc,fsync`);

    expect((await operator.refused('mutation ($id: ID!) { deleteVolume(id: $id) { operation { id } } }', { id: volume.id })).extensions.code).toBe('INVALID_STATE');
    expect(await volume.does((one) => one.resize('32MiB'))).toMatchObject({ state: 'IN_USE', size: 32 * MIB });
    await eventually('the guest to see the new size', async () => (await bytesOf(device)) === 32 * MIB);

    expect(await volume.does((one) => one.detach())).toMatchObject({ state: 'AVAILABLE', attachedTo: null, device: null });
    expect(await inGuest(`test -b /dev/${device} || echo gone`)).toBe('gone');

    expect(await volume.does((one) => one.resize('48MiB'))).toMatchObject({ size: 48 * MIB });
    const snapshot = (await volume.does((one) => one.snapshot('kept')))['snapshots'][0].id;
    const copy = await haveVolume(operator, { size: null, snapshotId: snapshot, format });
    await copy.does((one) => one.attach(vm.id));
    await eventually('the copy in the guest', () => inGuest('test -b /dev/vda').then(() => true));
    expect(await bytesOf('vda')).toBe(48 * MIB);
    expect(await inGuest('dd if=/dev/vda bs=512 skip=100 count=1 2>/dev/null | head -c 12')).toBe('written here');
    await copy.does((one) => one.detach());
    await copy.does((one) => one.delete());
    await (await deleteSnapshot(operator, snapshot)).operation.succeeds();
    await volume.does((one) => one.delete());
  }, 400_000); // LUKS stretches keys for seconds of CPU time, and its creation is tried again where qemu-img fails
});

it('a volume of another host is refused, in a sentence', async () => {
  const volume = await haveVolume(operator, { poolId: await poolOf(otherHost) });
  expect(await operator.refused('mutation ($volumeId: ID!, $vmId: ID!) { attachVolume(volumeId: $volumeId, vmId: $vmId) { operation { id } } }', { volumeId: volume.id, vmId: vm.id })).toMatchObject({
    message: 'The volume is in storage pool "local", which the host of the VM does not have.',
    extensions: { code: 'INVALID_STATE', field: 'vmId' },
  });
  await volume.does((one) => one.delete());
});

it("a VM of another tenant is not there for a volume", async () => {
  const admin = system.graph.as(people.platformAdmin);
  const volume = await haveVolume(admin, { tenantId: people.globex, poolId: await here() });
  const error = await admin.refused('mutation ($volumeId: ID!, $vmId: ID!) { attachVolume(volumeId: $volumeId, vmId: $vmId) { operation { id } } }', { volumeId: volume.id, vmId: vm.id });
  expect(error.extensions).toMatchObject({ code: 'NOT_FOUND', field: 'vmId' });
  await volume.does((one) => one.delete());
});

it('asked twice at once to detach, both are answered by one operation', async () => {
  const volume = await haveVolume(operator, { poolId: await here() });
  await volume.does((one) => one.attach(vm.id));
  const [first, second] = await Promise.all([volume.detach(), volume.detach()]);
  expect(second.operation.id).toBe(first.operation.id);
  await first.operation.succeeds();
  await volume.does((one) => one.delete());
});

it('a key is nowhere but in its sealed row: not in logs, events, answers or on the host', async () => {
  const { volume, seen, operation } = await createVolume(operator, { encrypted: true, poolId: await here() });
  await operation.succeeds(120_000);
  await volume.does((one) => one.attach(vm.id));
  const secrets = await createSecrets(system.environment.keys.master);
  const [row] = await system.sql<{ passphrase: Buffer; key_id: string; secret_id: string }>('SELECT passphrase, key_id, secret_id FROM storage.volume WHERE id = $1', [volume.id]);
  if (!row) throw new Error('The volume has no row.');
  const key = secrets.open({ sealed: Buffer.from(row.passphrase), keyId: row.key_id }, `volume:${volume.id}`).toString();
  expect(Buffer.from(key, 'base64')).toHaveLength(32);
  expect(() => secrets.open({ sealed: Buffer.from(row.passphrase), keyId: row.key_id }, 'volume:another')).toThrow('authenticate');

  const told = await system.sql("SELECT body::text FROM operations.outbox UNION ALL SELECT body::text FROM operations.event_log");
  const steps = await system.sql('SELECT concat(input::text, output::text, error::text) FROM operations.step');
  const places = {
    logs: JSON.stringify(system.log),
    events: JSON.stringify(told),
    steps: JSON.stringify(steps),
    answers: JSON.stringify([seen, await volume.read()]),
    host: await system.host.exec('sh', '-c', 'find /etc/libvirt /var/lib/libvirt /var/log/libvirt /run/libvirt -type f -size -1M -exec cat {} + | tr -d "\\0"'),
    domain: await system.host.virsh('dumpxml', '--security-info', domainName(vm.id)),
  };
  const found = Object.entries(places).filter(([, text]) => text.includes(key) || text.includes(row.passphrase.toString('base64')));
  expect(found.map(([place]) => place)).toEqual([]);
  await expect(system.host.virsh('secret-get-value', row.secret_id)).rejects.toThrow('private');
  expect(await system.host.virsh('secret-dumpxml', row.secret_id)).toContain("ephemeral='yes' private='yes'");

  // libvirtd forgets it with its end, and is told again
  await system.host.killDaemon('SIGKILL');
  await system.host.startDaemon();
  await eventually('the secret after a restart', async () => (await system.host.virsh('secret-list')).includes(row.secret_id), { timeoutMs: 20_000 });
  expect(await volume.does((one) => one.resize('8MiB'))).toMatchObject({ size: 8 * MIB });
  await eventually('the guest to see the new size', async () => (await bytesOf('vda')) === 8 * MIB);
  await volume.does((one) => one.detach());
  expect(await system.host.virsh('secret-list')).not.toContain(row.secret_id);
  await volume.does((one) => one.delete());
}, 120_000);

it('of a VM that is off, volumes come, grow and go', async () => {
  const volume = await haveVolume(operator, { encrypted: true, poolId: await here() });
  await vm.does('stop', { force: true });
  await volume.does((one) => one.attach(vm.id));
  expect(await volume.does((one) => one.resize('8MiB'))).toMatchObject({ state: 'IN_USE', size: 8 * MIB });
  await vm.does('start');
  await guestReady(system.host, domainName(vm.id));
  expect(await bytesOf('vda')).toBe(8 * MIB);
  await volume.does((one) => one.detach());
  await volume.does((one) => one.delete());
}, 120_000);
