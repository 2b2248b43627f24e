import type { VmFacts } from '@novacron/contracts';
import { DomainError, type HostId, type OperationId, type TenantId, type VmId } from '@novacron/core';
import { emit } from '@novacron/operations';
import type { Database, Tx, VmRow } from '../database.ts';
import type { VmUpdateInput } from '../generated/prisma/models.ts';
import type { Observation } from '../observation.ts';
import { believes, isDrift, reasonOf, stateOf, type VmVerb } from '../rules.ts';

/** What an event tells of a VM. */
export const factsOf = (vm: VmRow): VmFacts => ({
  name: vm.name,
  state: vm.state,
  desiredState: vm.desiredState,
  generation: vm.generation,
  hostId: vm.hostId as HostId | null, // brands are added where rows come in
  tags: vm.tags,
});

/** The row, locked until the transaction ends. NOT_FOUND when there is none, or none that lives. */
export async function lockVm(tx: Tx, id: VmId): Promise<VmRow> {
  await tx.$queryRaw`SELECT 1 FROM vm WHERE id = ${id}::uuid FOR UPDATE`;
  const vm = await tx.vm.findUnique({ where: { id } });
  if (!vm || vm.deletedAt) throw new DomainError('NOT_FOUND', 'There is no VM with this id.');
  return vm;
}

/** Writes a change of a locked VM and tells it, once: generation and state follow from the rest. */
export async function changeVm(tx: Tx, before: VmRow, change: Omit<VmUpdateInput, 'state' | 'generation'>, type?: 'vm.drifted' | 'vm.deleted'): Promise<VmRow> {
  const observed = (change.observed ?? before.observed) as VmRow['observed']; // changes here are plain values, not operations on them
  const verb = (change.operationVerb === undefined ? before.operationVerb : change.operationVerb) as VmVerb | null;
  const state = change.deletedAt ? 'DELETED' : before.state === 'PROVISIONING' && verb === 'create' ? 'PROVISIONING' : stateOf(observed, verb);
  const after = await tx.vm.update({ where: { id: before.id }, data: { ...change, state, generation: before.generation + 1 } });
  await emit(tx, {
    type: type ?? 'vm.changed',
    entityId: after.id as VmId,
    tenantId: after.tenantId as TenantId,
    before: factsOf(before),
    after: factsOf(after),
  });
  return after;
}

/** What an observation makes of a row: what changes, or null when an older or equal report must lose. */
function changeByObservation(vm: VmRow, seen: Observation): VmUpdateInput | null {
  const newer = BigInt(seen.epoch) > vm.observedEpoch || (BigInt(seen.epoch) === vm.observedEpoch && BigInt(seen.seq) > vm.observedSeq);
  if (!newer) return null;
  const order = { observedEpoch: BigInt(seen.epoch), observedSeq: BigInt(seen.seq) };
  if (!believes(vm.observed, seen.observed, seen.reason)) return order;
  const started = seen.observed === 'RUNNING' && !['RUNNING', 'PAUSED'].includes(vm.observed);
  const off = !['RUNNING', 'PAUSED'].includes(seen.observed);
  return {
    ...order,
    observed: seen.observed,
    stateReason: reasonOf(seen.observed, seen.reason),
    ...(started ? { startedAt: new Date() } : {}),
    ...(off ? { startedAt: null } : {}),
  };
}

/** The agent reports what it saw. Nothing is undone: a difference from what was asked for is told as drift. */
export async function recordObservation(database: Database, vmId: VmId, seen: Observation): Promise<void> {
  await database.$transaction(async (tx) => {
    const vm = await lockVm(tx, vmId).catch(() => null);
    // A domain that is not there yet, or no longer, is what these verbs are about.
    const expected = seen.observed === 'MISSING' && (vm?.operationVerb === 'create' || vm?.operationVerb === 'delete');
    const change = vm && !expected ? changeByObservation(vm, seen) : null;
    if (!vm || !change) return;
    const verb = vm.operationVerb as VmVerb | null;
    // A report that shows nothing new only moves the order on; it is no change and no event.
    const shows = change.observed !== undefined && (change.observed !== vm.observed || (verb === null && change.stateReason !== vm.stateReason));
    if (!shows) return void (await tx.vm.update({ where: { id: vm.id }, data: change }));
    const drifted = change.observed !== vm.observed && isDrift(seen.observed, vm.desiredState, verb);
    await changeVm(tx, vm, change, drifted ? 'vm.drifted' : undefined);
  });
}

/** A step of the operation in flight reports; with `ends`, the VM is at rest again. */
export async function recordStepObservation(tx: Tx, vmId: VmId, seen: Observation, ends: boolean): Promise<void> {
  const vm = await lockVm(tx, vmId);
  const change = { ...changeByObservation(vm, seen), ...(ends ? { operationId: null, operationVerb: null, forceStop: false } : {}) };
  if (ends || change.observed !== undefined) await changeVm(tx, vm, change);
}

/** Takes the VM for an operation: its state becomes the verb's until the operation ends. */
export const holdVm = (tx: Tx, vm: VmRow, operationId: OperationId, verb: VmVerb, desired: VmRow['desiredState'] | null): Promise<VmRow> =>
  changeVm(tx, vm, { operationId, operationVerb: verb, forceStop: false, stateReason: null, ...(desired === null ? {} : { desiredState: desired }) });
