import type { Step, StepDeclaration } from '@novacron/operations';
import type { Tx } from '../database.ts';
import { changeVm, findLockedVm } from '../store/vm-changes.ts';
import { buryVm } from '../store/vm-life.ts';
import type { HoldInput } from './steps.ts';

/**
 * The first step of every operation on a VM, done by the mutation's own transaction: the VM is held, or made. Its undo
 * is the last thing that happens when the operation fails or is cancelled, and needs no host.
 */
export const HOLD = { name: 'vms.hold', undoable: true } as const satisfies StepDeclaration;

const nothing = (): Promise<void> => Promise.resolve();

export const holdStep: Step<Tx, HoldInput, void, void> = {
  ...HOLD,
  run: nothing, // the mutation did it
  undo: nothing, // all of it is in the database
  async commitUndo(tx, { vmId, operationId, verb, desiredBefore }, _undone, { claim }) {
    if (verb === 'create') return buryVm(tx, vmId);
    const vm = await findLockedVm(tx, vmId);
    if (!vm || vm.operationId !== operationId) return; // let go of already
    await changeVm(tx, vm, {
      operationId: null,
      operationVerb: null,
      forceStop: false,
      // Cancelled, the wish is withdrawn; failed, it stands.
      ...(claim.cancelled ? { desiredState: desiredBefore } : { stateReason: claim.error?.message ?? vm.stateReason }),
    });
  },
};
