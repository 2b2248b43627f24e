import { networkSteps, storageSteps, type Device } from '@novacron/contracts';
import { plan, type PlannedStep, type Step, type StepDeclaration } from '@novacron/operations';
import type { Tx, VmRow } from '../database.ts';
import { buryVm } from '../store/vm-life.ts';
import { removeDomain } from './define.ts';
import { HOLD } from './hold.ts';
import { hostStep, onHost, type HoldInput, type VmInput } from './steps.ts';

/** The point of no return: a guest whose plug was pulled does not come back by cancelling. */
export const DELETE = { name: 'vms.delete', undoable: false, final: true, last: false } as const satisfies StepDeclaration & { last: boolean };
export const BURY = { name: 'vms.bury', undoable: false } as const satisfies StepDeclaration;

/** Nothing of the VM's domain stays on its host. */
export const deleteStep = hostStep(DELETE, { run: removeDomain });

/** The VM's name, its claim and its quota are free. */
export const buryStep: Step<Tx, VmInput, void, void> = {
  ...BURY,
  run: () => Promise.resolve(), // all of it is in the database
  commit: (tx, { vmId }) => buryVm(tx, vmId),
};

/** First the domain, then what only it has used, and only then the record of it: whoever is cut off finds the rest by it. */
export function planDelete(vm: VmRow, hold: HoldInput, devices: readonly Device[], keepVolumes: boolean): PlannedStep[] {
  const input = { vmId: hold.vmId };
  const has = (kind: Device['kind']): boolean => devices.some((device) => device.kind === kind);
  return [
    plan(HOLD, hold, { done: true }),
    plan(DELETE, input, onHost(vm)),
    ...(has('nic') ? [plan(networkSteps.DROP_NICS, input, onHost(vm))] : []),
    ...(has('disk') ? [plan(storageSteps.DROP_DISKS, { ...input, keepVolumes }, onHost(vm))] : []),
    plan(BURY, input),
  ];
}
