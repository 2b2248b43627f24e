import { plan, type PlannedStep, type Step, type StepDeclaration } from '@novacron/operations';
import type { Tx, VmRow } from '../database.ts';
import type { HostDomains } from '../host-context.ts';
import { buryVm } from '../store/vm-life.ts';
import { removeDomain } from './define.ts';
import { HOLD } from './hold.ts';
import { onHost, type HoldInput, type VmInput } from './steps.ts';

/** The point of no return: a guest whose plug was pulled does not come back by cancelling. */
export const DELETE = { name: 'vms.delete', undoable: false, final: true } as const satisfies StepDeclaration;

/** Nothing of the VM stays on its host; its name, its claim and its quota are free with the record of it. */
export const deleteStep = (host: HostDomains): Step<Tx, VmInput, void, void> => ({
  ...DELETE,
  run: (_run, input) => removeDomain(host, input),
  commit: (tx, { vmId }) => buryVm(tx, vmId),
});

export const planDelete = (vm: VmRow, hold: HoldInput): PlannedStep[] => [plan(HOLD, hold, { done: true }), plan(DELETE, { vmId: hold.vmId }, onHost(vm))];
