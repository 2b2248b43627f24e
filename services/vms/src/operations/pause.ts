import { DomainError } from '@novacron/core';
import { plan, type PlannedStep, type StepDeclaration } from '@novacron/operations';
import type { VmRow } from '../database.ts';
import { HOLD } from './hold.ts';
import { hostStep, onHost, requireDomain, type HoldInput } from './steps.ts';

export const PAUSE = { name: 'vms.pause', undoable: true, last: true } as const satisfies StepDeclaration & { last: boolean };

/** Holds the CPUs; memory stays. */
export const pauseStep = hostStep(PAUSE, {
  async run(host, { vmId }, run) {
    const { connection, domain } = await requireDomain(host, vmId);
    const { state } = await connection.domains.state(domain);
    if (state === 'paused') return;
    if (state !== 'running') throw new DomainError('INVALID_STATE', `The VM can't be paused: it is ${state} on its host.`);
    await run.begin();
    await connection.domains.suspend(domain);
  },
  async undo(host, { vmId }) {
    const found = await host.find(vmId);
    const now = found && (await found.connection.domains.state(found.domain));
    // held for another reason (no room on a disk, a watchdog), it is not ours to let go
    if (now?.state === 'paused' && now.reason === 'user') await found?.connection.domains.resume(found.domain);
  },
});

export const planPause = (vm: VmRow, hold: HoldInput): PlannedStep[] => [plan(HOLD, hold, { done: true }), plan(PAUSE, { vmId: hold.vmId }, onHost(vm))];
