import { vmsSteps } from '@novacron/contracts';
import type { Step } from '@novacron/operations';
import type { Tx } from '../database.ts';
import { releaseClaim } from '../store/host-claims.ts';
import { changeVm, findLockedVm } from '../store/vm-changes.ts';
import { buryVm } from '../store/vm-life.ts';
import { FOREIGN_VERBS } from '../rules.ts';
import type { HoldInput } from './steps.ts';

/**
 * The first step of every operation on a VM, done by the mutation's own transaction: the VM is held, or made. Its undo
 * is the last thing that happens when the operation fails or is cancelled, and needs no host.
 */
export const { HOLD } = vmsSteps;

const nothing = (): Promise<void> => Promise.resolve();

export const holdStep: Step<Tx, HoldInput, void, void> = {
  ...HOLD,
  run: nothing, // the mutation did it
  undo: nothing, // all of it is in the database
  async commitUndo(tx, { vmId, operationId, verb, desiredBefore }, _undone, { claim }) {
    if (verb === 'create') return buryVm(tx, vmId);
    const vm = await findLockedVm(tx, vmId);
    const isHeld = vm?.operationId === operationId; // else it was let go of already
    // A migration lets go as soon as its guest is known to have stayed; its claim on the target lasts until nothing is left there.
    const claimed = verb === 'migrate' ? (vm?.migrationHostId ?? null) : null;
    if (!vm || !(isHeld || claimed !== null)) return;
    if (claimed !== null) await releaseClaim(tx, claimed, vm);
    // Cancelled, the wish is withdrawn; failed, it stands.
    const wish = claim.cancelled ? { desiredState: desiredBefore } : verb in FOREIGN_VERBS ? {} : { stateReason: claim.error?.message ?? vm.stateReason };
    await changeVm(tx, vm, {
      ...(claimed === null ? {} : { migrationHostId: null }),
      ...(isHeld ? { operationId: null, operationVerb: null, forceStop: false, ...wish } : {}),
    });
  },
};
