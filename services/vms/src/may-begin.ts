import { can, requireInTenant, type Viewer } from '@novacron/contracts';
import { badInput, DomainError, type OperationId } from '@novacron/core';
import type { HostRow, VmRow } from './database.ts';
import { isAtRest, MIGRATABLE, refusal, refusalFrom, VM_VERBS, type VmVerb } from './rules.ts';

/** The verbs that begin from a VM that is there. */
export type ChangeVerb = Exclude<VmVerb, 'create'>;

/** How what a rule needs is read: by a mutation in its transaction, by the graph in batches. */
export interface Lookup {
  host(id: string): Promise<HostRow | null>;
  /** Does the operation go forward? */
  goesOn(id: OperationId): Promise<boolean>;
}

interface Question {
  viewer: Viewer | null;
  vm: VmRow;
  verb: ChangeVerb | 'migrate';
  force?: boolean;
}

/** Is the verb in flight on the VM, and going forward? Then whoever asks for it is answered its operation. */
const isInFlight = async ({ goesOn }: Lookup, { vm, verb }: Question): Promise<boolean> =>
  vm.operationVerb === verb && vm.operationId !== null && goesOn(vm.operationId as OperationId); // brands are added where rows come in

/** What speaks against a verb is thrown: INVALID_STATE, UNAVAILABLE. Answers the VM's host. */
async function requireBegins(lookup: Lookup, { viewer, vm, verb, force = false }: Question): Promise<HostRow> {
  if (vm.operationId !== null && isAtRest(vm.state)) {
    throw new DomainError('INVALID_STATE', `The VM is busy: another operation on it (${vm.operationVerb}) is under way.`, { retryable: true });
  }
  if ((verb === 'delete' || verb === 'migrate') && vm.migrationHostId !== null && vm.operationId === null) {
    throw new DomainError('INVALID_STATE', 'What a migration that failed has left on its target is still being removed.', { retryable: true });
  }
  const reason = verb === 'migrate' ? refusalFrom('migrate', MIGRATABLE, vm.state) : refusal(verb, vm.state);
  if (reason !== null) throw new DomainError('INVALID_STATE', reason);
  if (verb === 'stop' && !force && vm.state === 'PAUSED') {
    throw new DomainError('INVALID_STATE', 'A paused guest can\'t shut itself down: resume it first, or stop it with force.');
  }
  const host = vm.hostId === null ? null : await lookup.host(vm.hostId);
  if (!host) throw new DomainError('UNAVAILABLE', 'The VM is on no host.', { retryable: false });
  // why it is offline names paths and other hosts: as with Host.problem, not for everyone
  const problem = can(viewer, 'host:read') ? (host.problem ?? '') : '';
  if (host.state === 'OFFLINE') throw new DomainError('UNAVAILABLE', `Host "${host.name}" is offline. ${problem}`.trim());
  return host;
}

/**
 * The rules of every verb on a VM, for the mutations and for Vm.can alike: permission first, then what is in flight, the state, and the
 * host. Answers the VM's host, or null where the verb is in flight already. FORBIDDEN, NOT_FOUND, INVALID_STATE, UNAVAILABLE.
 */
export async function requireMayBegin(lookup: Lookup, question: Question): Promise<HostRow | null> {
  const { viewer, vm, verb } = question;
  requireInTenant(viewer, `vm:${verb}`, vm.tenantId, 'VM');
  return (await isInFlight(lookup, question)) ? null : requireBegins(lookup, question);
}

/** What can be asked of Vm.can. */
const ACTIONS = [...VM_VERBS.filter((verb): verb is ChangeVerb => verb !== 'create'), 'migrate', 'update'] as const;

interface Asked {
  action: string;
  force: boolean;
  /** QUOTA_EXCEEDED where the VM's tenant has as many operations in flight as it may. */
  requireRoomInFlight(): Promise<void>;
}

/** Throws what the action would be refused with now; BAD_USER_INPUT (action) for one that there is not. An action is a verb, or its permission. */
export async function requireMay(lookup: Lookup, viewer: Viewer | null, vm: VmRow, { action, force, requireRoomInFlight }: Asked): Promise<void> {
  const verb = parseAction(action);
  if (vm.deletedAt !== null) throw new DomainError('NOT_FOUND', 'There is no VM with this id.');
  // a name and tags can be changed at any time
  if (verb === 'update') return void requireInTenant(viewer, 'vm:update', vm.tenantId, 'VM');
  const host = await requireMayBegin(lookup, { viewer, vm, verb, force });
  if (host !== null) await requireRoomInFlight();
}

export function parseAction(action: string): (typeof ACTIONS)[number] {
  const verb = action.replace(/^vm:/, '');
  return ACTIONS.find((known) => known === verb) ?? badInput('action', `What can be done with a VM is one of ${ACTIONS.join(', ')}.`);
}
