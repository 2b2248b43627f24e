import { readFileSync } from 'node:fs';
import { domainName, type Viewer } from '@novacron/contracts';
import type { HostId, VmId } from '@novacron/core';
import { eventually } from '@novacron/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openDatabase } from '../src/database.ts';
import { lockVm, recordObservation } from '../src/store/vm-changes.ts';
import { doVerb, makeVm, startVms, viewerWith, type Loose, type TestVms } from './vms.ts';
import { startWitness, type Witness } from './witness.ts';

/** What the world does by itself is seen, told as drift, and never undone. */

let vms: TestVms;
let witness: Witness;
let operator: Viewer;

beforeAll(async () => {
  vms = await startVms();
  witness = await startWitness(host());
  operator = viewerWith(['operator', await vms.tenant()]);
});
afterAll(async () => {
  await witness?.close();
  await vms?.close();
});

const host = () => vms.hosts[0]!; // there is one
let number = 0;
const make = (start: boolean, input: object = {}): Promise<string> => makeVm(vms, operator, { name: `drifter-${(number += 1)}`, start, ...input });
const virsh = (verb: string, vmId: string) => host().virsh(verb, domainName(vmId));
/** The pid of the VM's QEMU, as this machine counts. */
function qemuPid(vmId: string): number {
  const pid = host().qemuPids().find((one) => readFileSync(`/proc/${one}/cmdline`, 'latin1').includes(vmId));
  if (pid === undefined) throw new Error(`No QEMU runs ${vmId}.`);
  return pid;
}

const SEEN_WITHIN_MS = 3_000;
const becomes = (vmId: string, state: string, timeoutMs = SEEN_WITHIN_MS): Promise<Loose> =>
  eventually(`VM ${vmId} to be ${state}`, async () => {
    const row = await vms.row(vmId);
    if (row['state'] !== state) throw new Error(`it is ${row['state']}`);
    return row;
  }, { timeoutMs });
const lastEvent = async (vmId: string): Promise<Loose> => (await vms.events(vmId)).at(-1)!; // each was created

describe('behind our back', () => {
  let bystander: string;
  beforeAll(async () => {
    bystander = await make(true);
  });

  it.each([
    ['start', false, 'RUNNING', 'STOPPED'],
    ['destroy', true, 'STOPPED', 'RUNNING'],
    ['suspend', true, 'PAUSED', 'RUNNING'],
    ['undefine', false, 'ERROR', 'STOPPED'],
  ])('virsh %s is seen, told, and not undone', async (verb, start, state, desired) => {
    const vmId = await make(start);
    const operations = (await vms.sql('SELECT count(*) FROM operations.operation'))[0];
    await virsh(verb, vmId);
    expect(await becomes(vmId, state)).toMatchObject({ desired_state: desired, operation_id: null });
    expect(await lastEvent(vmId)).toMatchObject({ type: 'vm.drifted', body: { before: { state: desired }, after: { state, desiredState: desired } } });
    const before = { domain: await vms.virshState(vmId), events: await vms.events(vmId), seen: witness.seen(vmId).length };
    await virsh('suspend', bystander); // what is seen of that comes after whatever would be done about this
    await becomes(bystander, 'PAUSED');
    await virsh('resume', bystander);
    await becomes(bystander, 'RUNNING');
    expect({ domain: await vms.virshState(vmId), events: await vms.events(vmId), seen: witness.seen(vmId).length }).toEqual(before);
    expect((await vms.sql('SELECT count(*) FROM operations.operation'))[0]).toEqual(operations);
    await doVerb(vms, operator, 'deleteVm', vmId);
    await vms.nothingLeftBehind();
  });

  it('what is done and taken back is told both ways', async () => {
    const vmId = await make(true);
    await virsh('suspend', vmId);
    await becomes(vmId, 'PAUSED');
    await virsh('resume', vmId);
    await becomes(vmId, 'RUNNING');
    expect((await vms.events(vmId)).slice(-2).map(({ type, body }) => [type, body['after'].state])).toEqual([
      ['vm.drifted', 'PAUSED'],
      ['vm.changed', 'RUNNING'],
    ]);
    await doVerb(vms, operator, 'deleteVm', vmId);
  });

  it('a running domain loses its definition, and with the power all of it; a start makes it again', async () => {
    const vmId = await make(true);
    await virsh('undefine', vmId);
    await virsh('destroy', vmId);
    expect(await becomes(vmId, 'ERROR')).toMatchObject({ state_reason: expect.stringContaining('gone from its host') });
    await doVerb(vms, operator, 'startVm', vmId);
    expect([await vms.virshState(vmId), (await vms.row(vmId))['state']]).toEqual(['running', 'RUNNING']);
    await doVerb(vms, operator, 'deleteVm', vmId);
  });
});

describe('by itself', () => {
  it('a guest powers off', async () => {
    const { kernel, initrd, cmdline } = vms.guest;
    const vmId = await make(true, { memory: '96MiB', kernel: { kernel, initrd, cmdline: `${cmdline} nova.poweroff=1` } });
    expect((await vms.row(vmId))['started_at']).not.toBeNull();
    await eventually('the guest to power off', () => witness.seen(vmId).includes('stopped'), { timeoutMs: 40_000 });
    expect(await becomes(vmId, 'STOPPED')).toMatchObject({ desired_state: 'RUNNING', started_at: null });
    expect(await lastEvent(vmId)).toMatchObject({ type: 'vm.drifted' });
    await doVerb(vms, operator, 'deleteVm', vmId);
  });

  it("a guest's QEMU dies, and the VM stays CRASHED until it is started", async () => {
    const vmId = await make(true);
    process.kill(qemuPid(vmId), 'SIGKILL');
    expect(await becomes(vmId, 'CRASHED')).toMatchObject({ state_reason: 'crashed', started_at: null });
    expect(await lastEvent(vmId)).toMatchObject({ type: 'vm.drifted', body: { after: { state: 'CRASHED' } } });
    await doVerb(vms, operator, 'startVm', vmId);
    expect(await vms.row(vmId)).toMatchObject({ state: 'RUNNING', state_reason: null });
    await doVerb(vms, operator, 'deleteVm', vmId);
  });

  it('a guest panics', async () => {
    const { kernel, initrd, cmdline } = vms.guest;
    const vmId = await make(true, { memory: '96MiB', kernel: { kernel, initrd, cmdline: `${cmdline} nova.panic=1` } });
    expect(await becomes(vmId, 'CRASHED', 40_000)).toMatchObject({ desired_state: 'RUNNING' });
    await doVerb(vms, operator, 'deleteVm', vmId);
  });
});

describe('what happens while nobody looks is read afterwards', () => {
  it('the engine was away', async () => {
    const [started, destroyed, suspended, undefined_, untouched] = [await make(false), await make(true), await make(true), await make(false), await make(true)];
    await vms.dropEngine();
    await Promise.all([virsh('start', started), virsh('destroy', destroyed), virsh('suspend', suspended), virsh('undefine', undefined_)]);
    await vms.startEngine();
    await becomes(started, 'RUNNING');
    await becomes(destroyed, 'STOPPED');
    await becomes(suspended, 'PAUSED');
    await becomes(undefined_, 'ERROR');
    for (const vmId of [started, destroyed, suspended, undefined_]) expect(await lastEvent(vmId)).toMatchObject({ type: 'vm.drifted' });
    expect((await lastEvent(untouched))['body'].after.state).toBe('RUNNING');
    for (const vmId of [started, destroyed, suspended, undefined_, untouched]) await doVerb(vms, operator, 'deleteVm', vmId);
    await vms.nothingLeftBehind();
  });

  it('libvirtd was killed: the host is OFFLINE, its VMs stay as last seen, and are read when it is back', async () => {
    const [survivor, killed] = [await make(true), await make(true)];
    const pid = qemuPid(killed);
    await host().killDaemon('SIGKILL');
    expect(await vms.hostIs('hv1', 'OFFLINE', SEEN_WITHIN_MS)).toMatchObject({ problem: expect.stringContaining("libvirt can't be reached") });
    process.kill(pid, 'SIGKILL');
    await eventually('the end of that QEMU', () => !host().qemuPids().includes(pid));
    expect((await vms.row(killed))['state']).toBe('RUNNING');
    await host().startDaemon();
    expect(await vms.hostIs('hv1', 'ONLINE', 5_000)).toMatchObject({ problem: null });
    const { state } = await eventually('the dead one to be seen', async () => {
      const row = await vms.row(killed);
      return row['state'] !== 'RUNNING' && row;
    });
    expect(['STOPPED', 'CRASHED']).toContain(state);
    expect(await lastEvent(killed)).toMatchObject({ type: 'vm.drifted' });
    expect((await vms.row(survivor))['state']).toBe('RUNNING');
    expect(await vms.virshState(survivor)).toBe('running');
    await virsh('suspend', survivor); // events are told again
    await becomes(survivor, 'PAUSED');
    for (const vmId of [survivor, killed]) await doVerb(vms, operator, 'deleteVm', vmId);
    await vms.nothingLeftBehind();
  });
});

describe('the newer word counts', () => {
  it('an older observation loses, as does one of another host', async () => {
    const vmId = (await make(false)) as VmId; // an id of ours
    const hostId = vms.hostIds.get('hv1')!; // it is there
    const before = await vms.row(vmId);
    const [epoch, seq] = [Number(before['observed_epoch']), Number(before['observed_seq'])];
    const database = openDatabase(vms.databaseUrl);
    const report = (order: { epoch: number; seq: number }, of: HostId = hostId) => recordObservation(database, of, vmId, { observed: 'RUNNING', reason: null, ...order });
    await report({ epoch, seq });
    await report({ epoch, seq: seq - 1 });
    await report({ epoch: epoch - 1, seq: seq + 100 });
    await report({ epoch: epoch + 1, seq: 1 }, 'another host' as HostId);
    expect(await vms.row(vmId)).toEqual(before);
    await report({ epoch, seq: seq + 1 });
    expect(await vms.row(vmId)).toMatchObject({ state: 'RUNNING', observed_seq: String(seq + 1) });
    await database.$disconnect();
    await doVerb(vms, operator, 'deleteVm', vmId);
  });

  it('an observation does not wait for whoever changes the VM: it comes back, and is recorded then', async () => {
    const vmId = (await make(false)) as VmId; // an id of ours
    const hostId = vms.hostIds.get('hv1')!; // it is there
    const { observed_epoch: epoch, observed_seq: seq } = await vms.row(vmId);
    const database = openDatabase(vms.databaseUrl);
    const report = () => recordObservation(database, hostId, vmId, { observed: 'RUNNING', reason: null, epoch: Number(epoch), seq: Number(seq) + 1 });
    await database.$transaction(async (tx) => {
      await lockVm(tx, vmId);
      await expect(report()).rejects.toMatchObject({ code: 'UNAVAILABLE' });
      await virsh('start', vmId); // its event is seen meanwhile
    });
    await becomes(vmId, 'RUNNING');
    await database.$disconnect();
    await doVerb(vms, operator, 'deleteVm', vmId);
  });

  it('an agent that has lost its lease says nothing more of the host', async () => {
    await vms.sql("UPDATE operations.host_lease SET holder = 'a successor', epoch = epoch + 1, expires_at = clock_timestamp() + interval '30 seconds'");
    await eventually('the loss to be noticed', () => vms.logged.some((line) => line.includes('the lease of the host was lost')));
    await vms.stopEngine();
    expect((await vms.sql("SELECT state FROM vms.host WHERE name = 'hv1'"))[0]).toEqual({ state: 'ONLINE' });
    await vms.dropEngine();
    await vms.startEngine();
  });

  it('an agent that is stopped says so, and one that was killed is found missing', async () => {
    await vms.stopEngine();
    expect(await vms.hostIs('hv1', 'OFFLINE', 1_000)).toMatchObject({ problem: 'The agent of this host was stopped.' });
    await vms.startEngine();
    await vms.sql('UPDATE operations.host_lease SET expires_at = clock_timestamp()'); // renewed within 2 s, missed within 1 s
    expect(await vms.hostIs('hv1', 'OFFLINE', SEEN_WITHIN_MS)).toMatchObject({ problem: 'No agent of this host is running.' });
    await vms.hostIs('hv1', 'ONLINE', 10_000);
  });
});
