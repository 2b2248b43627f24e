import { eventually } from '@novacron/testkit';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Loose } from '../kit/client.ts';
import type { Vm } from '../kit/vm.ts';
import { claimsAddUp, domainState, haveVmOn, isOnlyOn, MIB, migrate, startFleet, type Fleet, type Move } from './moves.ts';

/** What dies in the middle of a migration: afterwards the guest runs once, the graph says where, and nothing is held. */

let fleet: Fleet;
let vm: Vm;
let here: string;
let there: string;

beforeAll(async () => {
  fleet = await startFleet();
  [here, there] = fleet.hostIds as [string, string]; // startFleet registers two
  vm = await haveVmOn(fleet, here);
});
afterEach(() => claimsAddUp(fleet));
afterAll(() => fleet?.close());

/** Where it runs now, and the host that it goes to. */
async function ends(): Promise<{ source: string; target: string }> {
  const { host } = await vm.read('host { id }');
  return host.id === here ? { source: here, target: there } : { source: there, target: here };
}

/** Begins to move it, slowly, and waits until its memory is on the way. */
async function onTheWay(): Promise<{ move: Move; source: string; target: string }> {
  const { source, target } = await ends();
  const move = await migrate(fleet.operator, { vmId: vm.id, hostId: target, bandwidthBytesPerSecond: 8 * MIB });
  await eventually('memory on its way', async () => (await move.read())['memoryTransferred'] > MIB, { timeoutMs: 20_000, intervalMs: 20 });
  return { move, source, target };
}

/** The truth, whichever way it went. */
async function isTrue(move: Move, source: string, target: string): Promise<Loose> {
  const ended = await move.ends(90_000);
  await isOnlyOn(fleet, vm, ended['state'] === 'SUCCEEDED' ? target : source);
  return ended;
}

describe('killed in the middle of a migration', () => {
  it("the source's libvirtd: the guest runs on one host", async () => {
    const { move, source, target } = await onTheWay();
    await fleet.hostOf(source).killDaemon('SIGKILL');
    await fleet.hostOf(source).startDaemon();
    expect(await isTrue(move, source, target)).toMatchObject({ state: expect.stringMatching(/^(SUCCEEDED|ROLLED_BACK)$/) });
  });

  it("the target's libvirtd: the guest runs on one host", async () => {
    const { move, source, target } = await onTheWay();
    await fleet.hostOf(target).killDaemon('SIGKILL');
    await fleet.hostOf(target).startDaemon();
    expect(await isTrue(move, source, target)).toMatchObject({ state: expect.stringMatching(/^(SUCCEEDED|ROLLED_BACK)$/) });
  });

  it("the target's libvirtd, which stays away: the VM is free on the source, and what is left there goes when it is back", async () => {
    const { move, source, target } = await onTheWay();
    await fleet.hostOf(target).killDaemon('SIGKILL');
    await vm.becomes('RUNNING', 60_000);
    await vm.does('pause');
    await vm.does('resume');
    const DELETE = 'mutation ($id: ID!) { deleteVm(id: $id) { operation { id } } }';
    expect((await fleet.operator.refused(DELETE, { id: vm.id })).extensions).toMatchObject({ code: 'INVALID_STATE' });
    await fleet.hostOf(target).startDaemon();
    expect(await isTrue(move, source, target)).toMatchObject({ state: 'ROLLED_BACK' });
  });

  it("the target's QEMU: the guest runs on the source", async () => {
    const { move, source, target } = await onTheWay();
    for (const pid of fleet.hostOf(target).qemuPids()) process.kill(pid, 'SIGKILL');
    expect(await isTrue(move, source, target)).toMatchObject({ state: 'ROLLED_BACK', error: { code: 'UNAVAILABLE' } });
  });

  it('the process that leads it: its successor goes on with it', async () => {
    const { move, source, target } = await onTheWay();
    await fleet.system.stop({ force: true });
    await fleet.system.start();
    expect(await isTrue(move, source, target)).toMatchObject({ state: expect.stringMatching(/^(SUCCEEDED|ROLLED_BACK)$/) });
  });

  it("the source's QEMU: the guest has ended, and is on the source", async () => {
    const { move, source, target } = await onTheWay();
    for (const pid of fleet.hostOf(source).qemuPids()) process.kill(pid, 'SIGKILL');
    const ended = await move.ends(90_000);
    expect(ended).toMatchObject({ state: 'ROLLED_BACK' });
    await vm.becomes('CRASHED');
    expect([await domainState(fleet.hostOf(source), vm), await domainState(fleet.hostOf(target), vm)]).toEqual(['shut off', null]);
    await vm.does('start');
  });
});
