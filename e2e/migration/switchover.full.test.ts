import { eventually, type TestHost } from '@novacron/testkit';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Vm } from '../kit/vm.ts';
import { claimsAddUp, domainState, haveVmOn, isOnlyOn, MIB, migrate, startFleet, type Fleet, type Move } from './moves.ts';

/**
 * The guest is held on the source, all of its memory is on the target, and the source's libvirtd dies before it knows whether
 * the target's let it go: libvirt leaves both as they are.
 */

let fleet: Fleet;
let vm: Vm;
let move: Move;
let source: TestHost;
let target: TestHost;
let here: string;
let there: string;

beforeAll(async () => {
  fleet = await startFleet();
});
afterEach(() => claimsAddUp(fleet));
afterAll(() => fleet?.close());

const daemonPid = async (host: TestHost): Promise<string> => (await host.exec('cat', '/run/libvirt/libvirtd.pid')).trim();

/** Until the source waits for the target's word; then the source's libvirtd is killed, and starts again. */
async function bothHeld(): Promise<void> {
  [here, there] = fleet.hostIds as [string, string]; // startFleet registers two
  [source, target] = [fleet.hostOf(here), fleet.hostOf(there)];
  vm = await haveVmOn(fleet, here);
  move = await migrate(fleet.operator, { vmId: vm.id, hostId: there, bandwidthBytesPerSecond: 8 * MIB });
  await eventually('memory on its way', async () => (await move.read())['memoryTransferred'] > MIB, { timeoutMs: 20_000, intervalMs: 20 });
  await target.exec('kill', '-STOP', await daemonPid(target));
  await eventually('the guest to be held', async () => (await domainState(source, vm)) === 'paused', { timeoutMs: 30_000, intervalMs: 20 });
  await source.killDaemon('SIGKILL');
  await source.startDaemon();
}

describe("when the source's libvirtd dies while the target's does not answer", () => {
  it('and the target goes on: it runs on one of them', async () => {
    await bothHeld();
    await target.exec('kill', '-CONT', await daemonPid(target));
    const ended = await move.ends(60_000);
    expect(['SUCCEEDED', 'ROLLED_BACK']).toContain(ended['state']);
    await isOnlyOn(fleet, vm, ended['state'] === 'SUCCEEDED' ? there : here);
    await vm.does('delete');
  });

  it('and the target dies, too: it runs on the source, and only there', async () => {
    await bothHeld();
    await target.exec('kill', '-KILL', await daemonPid(target));
    await target.startDaemon();
    const ended = await move.ends(60_000);
    expect(ended['state']).toBe('ROLLED_BACK');
    await isOnlyOn(fleet, vm, here);
    await vm.does('delete');
  });
});
