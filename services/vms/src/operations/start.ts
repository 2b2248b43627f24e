import { DomainError } from '@novacron/core';
import { LibvirtError } from '@novacron/libvirt';
import { storageSteps } from '@novacron/contracts';
import { plan, type PlannedStep, type StepDeclaration } from '@novacron/operations';
import type { VmRow } from '../database.ts';
import { unlessGone } from '../host-context.ts';
import { defineDomain, definitionFor, isDefined, type DefineInput } from './define.ts';
import { HOLD } from './hold.ts';
import { hostStep, onHost, requireDomain, type HoldInput } from './steps.ts';

export const START = { name: 'vms.start', undoable: true, last: true } as const satisfies StepDeclaration & { last: boolean };

/** Runs the domain, as the VM is now: it is defined afresh first, and only started from shut off. */
export const startStep = hostStep<DefineInput>(START, {
  async run(host, input, run) {
    const before = await host.find(input.vmId);
    const state = before && (await before.connection.domains.state(before.domain)).state;
    if (state === 'running') return;
    if (state === 'paused') throw new DomainError('INVALID_STATE', 'The VM is paused: someone started it meanwhile. Resume it.');
    // createVm has defined it in the step before; a start of its own brings a lost or changed definition up to date.
    if (before === null || run.claim.kind !== 'vm.create') {
      const definition = await definitionFor(host, input);
      const isCurrent = before !== null && (await isDefined(before.connection, before.domain, definition));
      if (!isCurrent) await defineDomain(host, definition, run);
    }
    const { connection, domain } = before ?? (await requireDomain(host, input.vmId));
    await run.begin();
    try {
      await connection.domains.start(domain);
    } catch (error) {
      // someone else was faster, or our own try before this one took its time: it runs, and that is what was asked for
      const isOn = error instanceof LibvirtError && error.is('OPERATION_INVALID') && (await host.observe(input.vmId)).observed === 'RUNNING';
      if (!isOn) throw error;
    }
  },
  async undo(host, { vmId }) {
    const found = await host.find(vmId);
    if (!found || (await found.connection.domains.state(found.domain)).state === 'shutoff') return;
    await found.connection.domains.destroy(found.domain).catch(unlessGone);
  },
});

export const planStart = (vm: VmRow, hold: HoldInput, spec: DefineInput): PlannedStep[] => [
  plan(HOLD, hold, { done: true }),
  ...(spec.devices.some((device) => device.kind === 'disk' && device.secretId !== null) ? [plan(storageSteps.UNLOCK_DISKS, { vmId: hold.vmId }, onHost(vm))] : []),
  plan(START, spec, onHost(vm)),
];
