import { setTimeout as delay } from 'node:timers/promises';
import { DomainError } from '@novacron/core';
import { plan, type PlannedStep, type StepDeclaration, type StepRun } from '@novacron/operations';
import type { VmRow } from '../database.ts';
import type { HostDomains } from '../host-context.ts';
import { HOLD } from './hold.ts';
import { hostStep, onHost, requireDomain, type HoldInput, type VmInput } from './steps.ts';

export const REBOOT = { name: 'vms.reboot', undoable: false, last: true } as const satisfies StepDeclaration & { last: boolean };

const GRACE_MS = 60_000;
const ASK_EVERY_MS = 3_000;

export interface RebootInput extends VmInput {
  force: boolean;
}

/** Reboots. Nothing shows afterwards that it was done, so it is never done twice. */
export const rebootStep = hostStep<RebootInput>(REBOOT, {
  repeatable: false,
  async run(host, input, run) {
    if (!input.force) return askToReboot(host, input, run);
    const { connection, domain } = await requireDomain(host, input.vmId);
    await connection.domains.reset(domain);
  },
});

/** Asks the guest's agent, else presses its power button, until libvirt reports that it has rebooted. */
async function askToReboot(host: HostDomains, { vmId }: VmInput, run: StepRun): Promise<void> {
  const startedAt = performance.now();
  // One ear for all of it: an event between two questions must not have the guest rebooted twice.
  const rebooted = host.waitForEvent(vmId, 'reboot', GRACE_MS, run.signal);
  rebooted.catch(() => undefined); // awaited below, unless asking fails first
  for (let elapsedMs = 0; elapsedMs < GRACE_MS; elapsedMs = performance.now() - startedAt) {
    run.reportProgress(elapsedMs / GRACE_MS);
    const { connection, domain } = await requireDomain(host, vmId);
    await connection.domains.reboot(domain).catch(() => undefined); // refused while it goes down or boots: asked again
    if (await Promise.race([rebooted, delay(ASK_EVERY_MS, false)])) return;
    const { observed } = await host.observe(vmId);
    if (observed !== 'RUNNING') throw new DomainError('INVALID_STATE', `The VM is not running any more: it is ${observed}.`);
  }
  throw new DomainError('UNAVAILABLE', `The guest did not reboot within ${GRACE_MS / 1000} seconds. Try again, or reboot it with force.`);
}

export const planReboot = (vm: VmRow, hold: HoldInput, force: boolean): PlannedStep[] => [
  plan(HOLD, hold, { done: true }),
  plan(REBOOT, { vmId: hold.vmId, force }, onHost(vm)),
];
