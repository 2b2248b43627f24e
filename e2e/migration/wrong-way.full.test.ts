import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import type { Vm } from '../kit/vm.ts';
import { claimsAddUp, domainState, haveVmOn, isOnlyOn, migrate, startFleet, type Fleet } from './moves.ts';

/** A migrationUri that leads to another host than the one that it was registered for. */

let fleet: Fleet;
let vm: Vm;

beforeAll(async () => {
  fleet = await startFleet({ hosts: 3 });
  vm = await haveVmOn(fleet, fleet.hostIds[0]);
});
afterEach(() => claimsAddUp(fleet));
afterAll(() => fleet?.close());

it('gets no more than the first, slow bytes of a guest: the target itself must show the VM that comes', async () => {
  const [here, there, elsewhere] = fleet.hostIds as [string, string, string]; // startFleet registers three
  await fleet.system.sql('UPDATE vms.host SET migration_uri = $2 WHERE id = $1', [there, `qemu+tcp://${fleet.hostOf(elsewhere).address}/system`]);
  const move = await migrate(fleet.operator, { vmId: vm.id, hostId: there });
  const ended = await move.ends();
  expect(ended).toMatchObject({ state: 'ROLLED_BACK', error: { code: 'UNAVAILABLE', message: expect.stringContaining('does not show the VM') } });
  expect((Date.parse(ended['finishedAt']) - Date.parse(ended['startedAt'])) / 1000).toBeLessThan(20);
  await isOnlyOn(fleet, vm, here);
  expect(await domainState(fleet.hostOf(elsewhere), vm)).toBeNull();
});
