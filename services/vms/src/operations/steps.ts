import type { vmsSteps } from '@novacron/contracts';
import type { HostId, VmId } from '@novacron/core';
import { DomainError } from '@novacron/core';
import type { Step, StepDeclaration, StepRun } from '@novacron/operations';
import type { Connection, DomainRef } from '@novacron/libvirt';
import type { Tx, VmRow } from '../database.ts';
import type { HostDomains } from '../host-context.ts';
import type { Observation } from '../observation.ts';
import { recordStepObservation } from '../store/vm-changes.ts';

/** What every step of a VM is told. */
export type VmInput = vmsSteps.VmInput;

export type VmStep<Input extends VmInput = VmInput> = Step<Tx, Input, Observation, Observation | void>;

interface PowerStep<Input extends VmInput> {
  /** Brings the domain to where it should be. Called again after a crash: looks, says `run.begin()`, and only then acts. */
  run(host: HostDomains, input: Input, run: StepRun): Promise<void>;
  /** Takes back what `run` may have done. Not called when it never began to act: what is there then is not ours. */
  undo?(host: HostDomains, input: Input): Promise<void>;
  repeatable?: boolean;
}

/**
 * A step on a VM's host: it acts, then asks libvirt what came of it, and that is what is recorded. The last step of an
 * operation also lets go of the VM.
 */
export const hostStep =
  <Input extends VmInput>(declaration: StepDeclaration & { last: boolean }, { run, undo, repeatable = true }: PowerStep<Input>) =>
  (host: HostDomains): VmStep<Input> => ({
    name: declaration.name,
    undoable: declaration.undoable,
    final: declaration.final ?? false,
    repeatable,
    run: (stepRun, input) => host.act(input.vmId, () => run(host, input, stepRun)),
    commit: (tx, input, seen) => recordStepObservation(tx, input.vmId, seen, declaration.last),
    ...(undo && {
      undo: (stepRun: StepRun, input: Input) =>
        host.act(input.vmId, () => (stepRun.claim.output === null ? Promise.resolve() : undo(host, input))),
      commitUndo: (tx: Tx, input: Input, seen: Observation | void) => (seen ? recordStepObservation(tx, input.vmId, seen, false) : Promise.resolve()),
    }),
  });

/** The domain, which must be there. */
export async function requireDomain(host: HostDomains, vmId: VmId): Promise<{ connection: Connection; domain: DomainRef }> {
  const found = await host.find(vmId);
  if (!found) throw new DomainError('NOT_FOUND', 'The domain is gone from its host: it was removed there, not through NovaCron.');
  return found;
}

/** An operation on a VM: who holds it is written with the operation, in the mutation's own transaction. */
export type HoldInput = vmsSteps.HoldInput;

/** Where an operation's steps on the VM's host go. */
export const onHost = (vm: VmRow): { hostId: HostId } => {
  if (vm.hostId === null) throw new DomainError('INTERNAL', 'A VM without a host has no domain to work on.');
  return { hostId: vm.hostId as HostId }; // brands are added where rows come in
};
