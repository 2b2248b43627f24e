import { plan, type PlannedStep, type StepDeclaration } from '@novacron/operations';
import type { VmRow } from '../database.ts';
import { HOLD } from './hold.ts';
import { hostStep, onHost, requireDomain, type HoldInput } from './steps.ts';

export const PAUSE = { name: 'vms.pause', undoable: true, last: true } as const satisfies StepDeclaration & { last: boolean };

/** Holds the CPUs; memory stays. */
export const pauseStep = hostStep(PAUSE, {
  async run(host, { vmId }) {
    const { connection, domain } = await requireDomain(host, vmId);
    if ((await connection.domains.state(domain)).state === 'running') await connection.domains.suspend(domain);
  },
  async undo(host, { vmId }) {
    const found = await host.find(vmId);
    if (found && (await found.connection.domains.state(found.domain)).state === 'paused') await found.connection.domains.resume(found.domain);
  },
});

export const planPause = (vm: VmRow, hold: HoldInput): PlannedStep[] => [plan(HOLD, hold, { done: true }), plan(PAUSE, { vmId: hold.vmId }, onHost(vm))];
