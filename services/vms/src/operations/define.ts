import { DOMAIN_METADATA_URI } from '@novacron/contracts';
import { UNDEFINE, type Connection, type DomainRef } from '@novacron/libvirt';
import type { StepDeclaration, StepRun } from '@novacron/operations';
import { resolveBootFiles, type KernelBoot } from '../boot-files.ts';
import { defineXml, type Definition, type DomainSpec } from '../domain-xml.ts';
import { setsOwners } from '../host-report.ts';
import { unless, unlessGone, type HostDomains } from '../host-context.ts';
import { hostStep, type VmInput } from './steps.ts';

export type DefineInput = Omit<DomainSpec, 'boot' | 'setsOwners'> & VmInput & { kernel: KernelBoot | null };

/** What the domain should be, with its boot files as they are on the host now. BAD_USER_INPUT when one is not there. */
export async function definitionFor(host: HostDomains, { kernel, ...spec }: DefineInput): Promise<Definition> {
  const boot = kernel && (await resolveBootFiles(kernel, host.bootDirectories));
  const connection = await host.agent.connection();
  return defineXml({ ...spec, boot, setsOwners: setsOwners(await connection.capabilities()) });
}

/** Is the domain defined like this already? What a person has changed of it on the host since stays. */
export async function isDefined(connection: Connection, domain: DomainRef, { fingerprint }: Definition): Promise<boolean> {
  const metadata = await connection.domains.metadata(domain, { type: 'element', uri: DOMAIN_METADATA_URI }).catch(unless('NO_DOMAIN_METADATA'));
  return metadata !== undefined && (metadata.includes(`definition='${fingerprint}'`) || metadata.includes(`definition="${fingerprint}"`));
}

/** Gives the host the domain's definition. Defining again what is defined changes nothing. */
export async function defineDomain(host: HostDomains, definition: Definition, run: StepRun): Promise<void> {
  const connection = await host.agent.connection();
  await run.begin();
  await connection.domains.define(definition.xml);
}

/** Everything of the domain that libvirt keeps. */
const ALL = UNDEFINE.MANAGED_SAVE | UNDEFINE.SNAPSHOTS_METADATA | UNDEFINE.CHECKPOINTS_METADATA | UNDEFINE.NVRAM;

/** Pulls the plug, if there is one in, and removes the definition, if there is one. */
export async function removeDomain(host: HostDomains, { vmId }: VmInput): Promise<void> {
  const found = await host.find(vmId);
  if (!found) return;
  const { connection, domain } = found;
  const now = await connection.domains.state(domain).catch(unlessGone);
  if (now && now.state !== 'shutoff') await connection.domains.destroy(domain).catch(unlessGone);
  await connection.domains.undefine(domain, ALL).catch(unlessGone);
}

/** In createVm: the domain is there, off. `last` when it is not to be started. */
export const DEFINE = { name: 'vms.define', undoable: true, last: false } as const satisfies StepDeclaration & { last: boolean };
export const DEFINE_ONLY = { name: 'vms.define-only', undoable: true, last: true } as const satisfies StepDeclaration & { last: boolean };

const defineNew = async (host: HostDomains, input: DefineInput, run: StepRun): Promise<void> =>
  defineDomain(host, await definitionFor(host, input), run);

export const defineStep = hostStep<DefineInput>(DEFINE, { run: defineNew, undo: removeDomain });
export const defineOnlyStep = hostStep<DefineInput>(DEFINE_ONLY, { run: defineNew, undo: removeDomain });
