import type { VmId } from '@novacron/core';
import { AFFECT } from '@novacron/libvirt';
import { plan, type PlannedStep, type Step, type StepDeclaration } from '@novacron/operations';
import type { Tx, VmRow } from '../database.ts';
import type { HostDomains } from '../host-context.ts';
import { onHost, type VmInput } from './steps.ts';

/** What the mutation's transaction has done altogether. */
export const RECORD = { name: 'vms.record', undoable: false } as const satisfies StepDeclaration;
export const RETITLE = { name: 'vms.retitle', undoable: false } as const satisfies StepDeclaration;

/** The VM's name as the domain's <title>, for whoever looks at the host. */
export const retitleStep = (host: HostDomains, nameOf: (vmId: VmId) => Promise<string | null>): Step<Tx, VmInput, void, void> => ({
  ...RETITLE,
  async run(_run, { vmId }) {
    const found = await host.find(vmId);
    const name = await nameOf(vmId); // of two renames, the one that comes last to the host may be the first
    if (!found || name === null) return; // defined again, it gets the new title
    const { state } = await found.connection.domains.state(found.domain);
    const flags = AFFECT.CONFIG | (state === 'shutoff' ? 0 : AFFECT.LIVE);
    await found.connection.domains.setMetadata(found.domain, { type: 'title' }, name, flags);
  },
});

/** Name and tags are the database's alone; a host that is there learns the name, one that is away does not need it. */
export const planUpdate = (vm: VmRow, vmId: VmId, retitle: boolean): PlannedStep[] => [
  plan(RECORD, { vmId }, { done: true }),
  ...(retitle ? [plan(RETITLE, { vmId }, onHost(vm))] : []),
];
