import { migrationSteps } from '@novacron/contracts';
import type { HostId, OperationId } from '@novacron/core';
import { plan, type PlannedStep, type Step, type StepDeclaration } from '@novacron/operations';
import type { Tx } from '../database.ts';
import { holdHost, lockHost } from '../store/hosts.ts';

interface HostInput {
  hostId: HostId;
  operationId: OperationId;
}

/** The host takes no new VMs: done by the mutation's own transaction. */
export const DRAIN_HOST = { name: 'vms.drain-host', undoable: true } as const satisfies StepDeclaration;
export const REST_HOST = { name: 'vms.rest-host', undoable: false } as const satisfies StepDeclaration;

const nothing = (): Promise<void> => Promise.resolve(); // all of it is in the database

/** Cancelled, the host is as before; where some VM can't move it stays DRAINING, as was asked for. */
export const drainHostStep: Step<Tx, HostInput, void, void> = {
  ...DRAIN_HOST,
  run: nothing,
  undo: nothing,
  async commitUndo(tx, { hostId, operationId }, _undone, { claim }) {
    const host = await lockHost(tx, hostId);
    if (host.drainOperationId === operationId) await holdHost(tx, host, claim.cancelled ? null : host.heldState, null);
  },
};

/** No VM is left on it. */
export const restHostStep: Step<Tx, HostInput, void, void> = {
  ...REST_HOST,
  run: nothing,
  async commit(tx, { hostId, operationId }) {
    const host = await lockHost(tx, hostId);
    if (host.drainOperationId === operationId) await holdHost(tx, host, 'MAINTENANCE', null);
  },
};

export const planMaintain = (input: HostInput): PlannedStep[] => [
  plan(DRAIN_HOST, input, { done: true }),
  plan(migrationSteps.DRAIN, { hostId: input.hostId }),
  plan(REST_HOST, input),
];

/** Back in service: nothing has to be done for it. */
export const planServe = (input: HostInput): PlannedStep[] => [plan({ name: 'vms.serve-host', undoable: false }, input, { done: true })];
