import { UNDEFINE } from '@novacron/libvirt';
import type { StepDeclaration, StepRun } from '@novacron/operations';
import { resolveBootFiles, type KernelBoot } from '../boot-files.ts';
import { domainXml, type DomainSpec } from '../domain-xml.ts';
import { readCapabilities } from '../host-report.ts';
import { isGone, type HostDomains } from '../host-context.ts';
import { hostStep, type VmInput } from './steps.ts';

export type DefineInput = Omit<DomainSpec, 'boot' | 'setsOwners'> & VmInput & { kernel: KernelBoot };

/** Gives the host the domain's definition. Defining again what is defined changes nothing. */
export async function defineDomain(host: HostDomains, { kernel, ...spec }: DefineInput, run: StepRun): Promise<void> {
  const boot = await resolveBootFiles(kernel, host.bootDirectories);
  const connection = await host.agent.connection();
  const { setsOwners } = readCapabilities(await connection.capabilities());
  await run.begin();
  await connection.domains.define(domainXml({ ...spec, boot, setsOwners }));
}

/** Everything of the domain that libvirt keeps. */
const ALL = UNDEFINE.MANAGED_SAVE | UNDEFINE.SNAPSHOTS_METADATA | UNDEFINE.CHECKPOINTS_METADATA | UNDEFINE.NVRAM;

/** Pulls the plug, if there is one in, and removes the definition, if there is one. */
export async function removeDomain(host: HostDomains, { vmId }: VmInput): Promise<void> {
  const found = await host.find(vmId);
  if (!found) return;
  const { connection, domain } = found;
  try {
    if ((await connection.domains.state(domain)).state !== 'shutoff') await connection.domains.destroy(domain);
    await connection.domains.undefine(domain, ALL);
  } catch (error) {
    if (!isGone(error)) throw error; // someone was faster
  }
}

/** In createVm: the domain is there, off. `last` when it is not to be started. */
export const DEFINE = { name: 'vms.define', undoable: true, last: false } as const satisfies StepDeclaration & { last: boolean };
export const DEFINE_ONLY = { name: 'vms.define-only', undoable: true, last: true } as const satisfies StepDeclaration & { last: boolean };

export const defineStep = hostStep<DefineInput>(DEFINE, { run: defineDomain, undo: removeDomain });
export const defineOnlyStep = hostStep<DefineInput>(DEFINE_ONLY, { run: defineDomain, undo: removeDomain });
