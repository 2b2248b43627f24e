import { DomainError } from '@novacron/core';
import { plan, type PlannedStep, type StepDeclaration } from '@novacron/operations';
import type { VmRow } from '../database.ts';
import { HOLD } from './hold.ts';
import { hostStep, onHost, requireDomain, type HoldInput } from './steps.ts';

export const RESUME = { name: 'vms.resume', undoable: true, last: true } as const satisfies StepDeclaration & { last: boolean };

/** Lets the CPUs go again. */
export const resumeStep = hostStep(RESUME, {
  async run(host, { vmId }, run) {
    const { connection, domain } = await requireDomain(host, vmId);
    const { state } = await connection.domains.state(domain);
    if (state === 'running') return;
    if (state !== 'paused') throw new DomainError('INVALID_STATE', `The VM can't be resumed: it is ${state} on its host.`);
    await run.begin();
    await connection.domains.resume(domain);
  },
  async undo(host, { vmId }) {
    const found = await host.find(vmId);
    if (found && (await found.connection.domains.state(found.domain)).state === 'running') await found.connection.domains.suspend(found.domain);
  },
});

export const planResume = (vm: VmRow, hold: HoldInput): PlannedStep[] => [plan(HOLD, hold, { done: true }), plan(RESUME, { vmId: hold.vmId }, onHost(vm))];
