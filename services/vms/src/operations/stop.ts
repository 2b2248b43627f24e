import { GaveUp, plan, type PlannedStep, type StepDeclaration, type StepRun } from '@novacron/operations';
import type { VmRow } from '../database.ts';
import type { HostDomains } from '../host-context.ts';
import { HOLD } from './hold.ts';
import { hostStep, onHost, type HoldInput, type VmInput } from './steps.ts';

export const STOP = { name: 'vms.stop', undoable: false, last: true } as const satisfies StepDeclaration & { last: boolean };

/** How long a guest is asked before we give up, and how often: a request during its boot is lost. */
const GRACE_MS = 60_000;
const ASK_EVERY_MS = 3_000;
/** How late a graceful stop notices that it is to become a forced one. */
const LOOK_EVERY_MS = 500;

export interface StopInput extends VmInput {
  force: boolean;
}

/** Off, by asking the guest or by pulling the plug. */
export const stopStep = (isForced: (input: VmInput) => Promise<boolean>) =>
  hostStep<StopInput>(STOP, {
    async run(host, input, run) {
      if (!(await isOn(host, input))) return;
      if (input.force || !(await shutDown(host, input, run, () => isForced(input)))) await pullThePlug(host, input);
    },
  });

async function isOn(host: HostDomains, { vmId }: VmInput): Promise<boolean> {
  const { observed } = await host.observe(vmId);
  return observed === 'RUNNING' || observed === 'PAUSED';
}

async function pullThePlug(host: HostDomains, { vmId }: VmInput): Promise<void> {
  const found = await host.find(vmId);
  if (found && (await found.connection.domains.state(found.domain)).state !== 'shutoff') await found.connection.domains.destroy(found.domain);
}

/**
 * Asks the guest's agent, else presses its power button, again and again until it is off.
 *
 * @returns false when it is to be forced instead. UNAVAILABLE when the guest does not react.
 */
async function shutDown(host: HostDomains, input: VmInput, run: StepRun, isForced: () => Promise<boolean>): Promise<boolean> {
  const startedAt = performance.now();
  let askedAt = Number.NEGATIVE_INFINITY;
  for (;;) {
    const elapsedMs = performance.now() - startedAt;
    if (elapsedMs > GRACE_MS) {
      throw new GaveUp('UNAVAILABLE', `The guest did not shut down within ${GRACE_MS / 1000} seconds. Try again, or stop it with force.`);
    }
    run.reportProgress(elapsedMs / GRACE_MS);
    if (performance.now() - askedAt >= ASK_EVERY_MS) {
      askedAt = performance.now();
      const found = await host.find(input.vmId);
      // Refused requests (no agent yet, just going down) are asked again; whether it is off is what counts.
      await found?.connection.domains.shutdown(found.domain).catch(() => undefined);
    }
    await host.waitForEvent(input.vmId, 'stopped', LOOK_EVERY_MS, run.signal);
    if (!(await isOn(host, input))) return true;
    if (await isForced()) return false;
  }
}

export const planStop = (vm: VmRow, hold: HoldInput, force: boolean): PlannedStep[] => [
  plan(HOLD, hold, { done: true }),
  plan(STOP, { vmId: hold.vmId, force }, onHost(vm)),
];
