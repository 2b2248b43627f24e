import type { VmFacts } from '@novacron/contracts';
import { DomainError, type HostId, type OperationId, type TenantId, type VmId } from '@novacron/core';
import { columnsOf } from '@novacron/database';
import { emit } from '@novacron/operations';
import type { Database, Tx, VmRow } from '../database.ts';
import { Prisma } from '../generated/prisma/client.ts';
import type { VmUncheckedUpdateInput } from '../generated/prisma/models.ts';
import type { Observation } from '../observation.ts';
import { releaseClaim } from './host-claims.ts';
import { believes, isDrift, reasonOf, stateOf, type HoldingVerb, type VmVerb } from '../rules.ts';

/** What an event tells of a VM. */
export const factsOf = (vm: VmRow): VmFacts => ({
  name: vm.name,
  state: vm.state,
  desiredState: vm.desiredState,
  generation: vm.generation,
  hostId: vm.hostId as HostId | null, // brands are added where rows come in
  tags: vm.tags,
});

const COLUMNS = columnsOf(Prisma.VmScalarFieldEnum);

/** The row, locked until the transaction ends (Prisma has no FOR UPDATE); null when there is none, or none that lives. */
export async function findLockedVm(tx: Tx, id: VmId): Promise<VmRow | null> {
  const [vm] = await tx.$queryRaw<VmRow[]>`SELECT ${COLUMNS} FROM vm WHERE id = ${id}::uuid FOR UPDATE`;
  return vm && !vm.deletedAt ? vm : null;
}

/** The same, or NOT_FOUND. */
export async function lockVm(tx: Tx, id: VmId): Promise<VmRow> {
  const vm = await findLockedVm(tx, id);
  if (!vm) throw new DomainError('NOT_FOUND', 'There is no VM with this id.');
  return vm;
}

type Change = Omit<VmUncheckedUpdateInput, 'state' | 'generation'>;

/**
 * What of a row is news when it changes. While an operation is in flight, what is seen on the way is not: its end is.
 */
const shown = (vm: VmRow): string =>
  JSON.stringify([vm.name, vm.state, vm.desiredState, vm.tags, vm.hostId, vm.deletedAt, ...(vm.operationVerb === null ? [vm.stateReason, vm.startedAt] : [])]);

/**
 * Writes a change of a locked VM. Its state follows from the rest; where that shows, or the change is to something beside
 * the row (`isNews`), the generation grows and the change is told.
 */
export async function changeVm(tx: Tx, before: VmRow, change: Change, how: { type?: 'vm.drifted' | 'vm.deleted' | undefined; isNews?: boolean } = {}): Promise<VmRow> {
  const next = { ...before, ...change } as VmRow; // changes here are plain values, not operations on them
  const state = next.deletedAt ? 'DELETED' : stateOf(next.observed, next.operationVerb as HoldingVerb | null);
  const isNews = how.isNews === true || shown({ ...next, state }) !== shown(before);
  const generation = before.generation + (isNews ? 1 : 0);
  const after = await tx.vm.update({ where: { id: before.id }, data: { ...change, state, generation } });
  if (isNews) {
    await emit(tx, {
      type: how.type ?? 'vm.changed',
      entityId: after.id as VmId,
      tenantId: after.tenantId as TenantId,
      before: factsOf(before),
      after: factsOf(after),
    });
  }
  return after;
}

/** What an observation makes of a row: what changes, or null when an older or equal report must lose. */
function changeByObservation(vm: VmRow, seen: Observation): Change | null {
  const newer = BigInt(seen.epoch) > vm.observedEpoch || (BigInt(seen.epoch) === vm.observedEpoch && BigInt(seen.seq) > vm.observedSeq);
  if (!newer) return null;
  const order = { observedEpoch: BigInt(seen.epoch), observedSeq: BigInt(seen.seq) };
  if (!believes(vm.observed, seen.observed, seen.reason)) return order;
  const off = !['RUNNING', 'PAUSED'].includes(seen.observed);
  // libvirt starts a guest held and lets it go when it is ready: who looks in between sees it PAUSED first.
  const started = !off && !['RUNNING', 'PAUSED'].includes(vm.observed);
  return {
    ...order,
    observed: seen.observed,
    stateReason: reasonOf(seen.observed, seen.reason),
    ...(started ? { startedAt: new Date() } : {}),
    ...(off ? { startedAt: null } : {}),
  };
}

/**
 * The same for who can come back later: a row that someone is changing is not waited for. Those who would wait hold a
 * connection each, and the changes that they wait for may need one. UNAVAILABLE when someone is.
 */
async function findFreeVm(tx: Tx, id: VmId): Promise<VmRow | null> {
  const [vm] = await tx.$queryRaw<VmRow[]>`SELECT ${COLUMNS} FROM vm WHERE id = ${id}::uuid FOR UPDATE SKIP LOCKED`;
  if (vm) return vm.deletedAt ? null : vm;
  if (await tx.vm.findFirst({ where: { id, deletedAt: null }, select: { id: true } })) throw new DomainError('UNAVAILABLE', 'The VM is being changed just now.');
  return null;
}

/**
 * A host's agent reports what it saw. Nothing is undone: a difference from what was asked for is told as drift. Only the
 * agent of the VM's own host is heard: the order of observations is that of one host. UNAVAILABLE while someone is
 * changing the VM: look again then.
 */
export async function recordObservation(database: Database, hostId: HostId, vmId: VmId, seen: Observation): Promise<void> {
  await database.$transaction(async (tx) => {
    const vm = await findFreeVm(tx, vmId);
    if (vm?.hostId !== hostId) return;
    // While it is being made, a domain is missing because it is not there yet.
    const expected = seen.observed === 'MISSING' && vm.operationVerb === 'create';
    const change = expected ? null : changeByObservation(vm, seen);
    if (!change) return;
    const drifted = change.observed !== undefined && change.observed !== vm.observed && isDrift(seen.observed, vm.desiredState, vm.operationVerb as HoldingVerb | null);
    await changeVm(tx, vm, change, { type: drifted ? 'vm.drifted' : undefined });
  });
}

/** A step of the operation in flight reports; with `ends`, the VM is at rest again, where it should be or elsewhere. */
export async function recordStepObservation(tx: Tx, vmId: VmId, seen: Observation, ends: boolean, isNews = false): Promise<void> {
  const vm = await lockVm(tx, vmId);
  const change = { ...changeByObservation(vm, seen), ...(ends ? { operationId: null, operationVerb: null, forceStop: false } : {}) };
  const drifted = ends && isDrift((change.observed ?? vm.observed) as VmRow['observed'], vm.desiredState, null); // a plain value, as in changeVm
  await changeVm(tx, vm, change, { type: drifted ? 'vm.drifted' : undefined, ...(isNews ? { isNews } : {}) });
}

/**
 * A migration has ended: the VM is its target's, as that host sees it. Observations are in the order of one host, so those
 * of the old one count for nothing.
 */
export async function moveVm(tx: Tx, vmId: VmId, hostId: HostId, seen: Observation): Promise<void> {
  const vm = await lockVm(tx, vmId);
  if (vm.hostId !== null) await releaseClaim(tx, vm.hostId, vm); // the target's was made with the migration
  const believed = changeByObservation({ ...vm, observedEpoch: 0n, observedSeq: 0n }, seen);
  await changeVm(tx, vm, { ...believed, hostId, migrationHostId: null, operationId: null, operationVerb: null });
}

/** Takes the VM for an operation: its state becomes the verb's until the operation ends. */
export const holdVm = (tx: Tx, vm: VmRow, operationId: OperationId, verb: VmVerb, desired: VmRow['desiredState'] | null): Promise<VmRow> =>
  changeVm(tx, vm, { operationId, operationVerb: verb, forceStop: false, stateReason: null, ...(desired === null ? {} : { desiredState: desired }) });
