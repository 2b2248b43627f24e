import { domainName } from '@novacron/contracts';
import { agentGuest, eventually, guestExec, guestReady } from '@novacron/testkit';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import type { Vm } from '../kit/vm.ts';
import { claimsAddUp, haveVmOn, isOnlyOn, MIB, migrate, startFleet, type Fleet } from './moves.ts';

/** A guest that changes its memory faster than it can be sent. */

let fleet: Fleet;
let vm: Vm;

beforeAll(async () => {
  const { kernel, initrd, cmdline, bootDir } = await agentGuest();
  fleet = await startFleet({ bootDirectories: [bootDir] });
  vm = await haveVmOn(fleet, fleet.hostIds[0], { memory: '256MiB', kernel: { kernel, initrd, cmdline: `${cmdline} nova.dirty=32` } });
});
afterEach(() => claimsAddUp(fleet));
afterAll(() => fleet?.close());

it('is slowed down until its memory can be caught up with, and the migration says so', async () => {
  const host = fleet.hostOf(fleet.hostIds[0] ?? '');
  await guestReady(host, domainName(vm.id));
  await eventually('the guest to be at it', async () => Number(await guestExec(host, domainName(vm.id), 'stat -c %s /run/dirty/memory')) >= 32 * MIB, { timeoutMs: 30_000 });
  const move = await migrate(fleet.operator, { vmId: vm.id, hostId: fleet.hostIds[1], bandwidthBytesPerSecond: 16 * MIB });
  const seen = await eventually(
    'the guest to be slowed down',
    async () => {
      const now = await move.read();
      return now['autoConverge'] || now['finishedAt'] !== null ? now : null;
    },
    { timeoutMs: 90_000 },
  );
  expect(seen).toMatchObject({ autoConverge: true, message: expect.stringMatching(/slowed down by \d+ %/) });
  expect(seen['iteration']).toBeGreaterThan(1);
  expect(await move.ends(120_000)).toMatchObject({ state: 'SUCCEEDED', autoConverge: true });
  await isOnlyOn(fleet, vm, fleet.hostIds[1]);
  await guestReady(fleet.hostOf(fleet.hostIds[1] ?? ''), domainName(vm.id)); // at its own pace again
}, 240_000);
