import { networkSteps, storageSteps } from '@novacron/contracts';
import { plan, type PlannedStep } from '@novacron/operations';
import type { VmRow } from '../database.ts';
import { DEFINE, DEFINE_ONLY, type DefineInput } from './define.ts';
import { HOLD } from './hold.ts';
import { START } from './start.ts';
import { onHost, type HoldInput } from './steps.ts';

/**
 * Made in the database by the mutation, given its disks and interfaces on its host by storage and network, defined there,
 * and started unless told not to.
 */
export function planCreate(vm: VmRow, hold: HoldInput, spec: DefineInput, start: boolean): PlannedStep[] {
  const input = { vmId: hold.vmId };
  const has = (kind: 'disk' | 'nic'): boolean => spec.devices.some((device) => device.kind === kind);
  const disks = has('disk');
  const nics = has('nic');
  return [
    plan(HOLD, hold, { done: true }),
    ...(disks ? [plan(storageSteps.HOLD_DISKS, input, { done: true })] : []),
    ...(nics ? [plan(networkSteps.HOLD_NICS, input, { done: true })] : []),
    ...(disks ? [plan(storageSteps.MAKE_DISKS, input, onHost(vm))] : []),
    ...(nics ? [plan(networkSteps.MAKE_NICS, input, onHost(vm))] : []),
    ...(start ? [plan(DEFINE, spec, onHost(vm)), plan(START, spec, onHost(vm))] : [plan(DEFINE_ONLY, spec, onHost(vm))]),
  ];
}
