import type { VmState } from '@novacron/contracts';
import { DomainError, newId, type HostId, type MigrationId, type OperationId, type UserId } from '@novacron/core';
import { submit, type Bell } from '@novacron/operations';
import { nearestMiss, place, type PlacementRequest } from '@novacron/placement';
import type { MigrationRow, Tx } from './database.ts';
import { fleet, hasDevices, holdDisks, holdVm, networkRefusals, type FleetHost, type VmFacts } from './neighbours.ts';
import { planMigration } from './plan-migration.ts';
import { FROM, type MigrationMode } from './rules.ts';
import { insertMigration } from './store.ts';

export interface MigrationRequest {
  vm: VmFacts;
  /** Null: the best there is. */
  hostId: HostId | null;
  mode: MigrationMode;
  copyStorage: boolean;
  bandwidthBytesPerSecond: bigint | null;
  requestedBy: UserId | null;
  requestId: string | null;
  parentId?: OperationId;
  migrationId: MigrationId;
  operationId: OperationId;
}

export interface Begun {
  migration: MigrationRow;
  bell: Bell;
}

const refuse = (code: 'INVALID_STATE' | 'NOT_FOUND' | 'BAD_USER_INPUT', message: string, field: string): never => {
  throw new DomainError(code, message, { field });
};

/**
 * Makes a migration durable with everything that the database can decide: who may was checked before. Changes nothing when it
 * refuses: NOT_FOUND, INVALID_STATE, BAD_USER_INPUT, UNAVAILABLE, NO_CAPACITY, each with its field.
 */
export async function beginMigration(tx: Tx, request: MigrationRequest): Promise<Begun> {
  const { vm } = request;
  requireState(vm, request.mode);
  const hosts = await fleet(tx);
  const source = hosts.find(({ id }) => id === vm.hostId) ?? refuse('INVALID_STATE', 'The VM is on no host.', 'vmId');
  const has = await hasDevices(tx, vm.id);
  const refusals = has.nics ? await networkRefusals(tx, vm.id) : new Map<string, string>();
  if (request.hostId !== null) {
    const target = hosts.find(({ id }) => id === request.hostId) ?? refuse('NOT_FOUND', 'There is no host with this id.', 'hostId');
    const reason = unfit(source, target, refusals);
    if (reason) throw reason;
    return begin(tx, request, source, target, has);
  }
  return beginAnywhere(tx, request, source, hosts, refusals, has);
}

function requireState({ state }: VmFacts, mode: MigrationMode): void {
  const from: readonly VmState[] = FROM[mode];
  if (from.includes(state)) return;
  const how = mode === 'LIVE' ? 'A live migration moves what runs' : 'An offline migration moves what is off';
  refuse('INVALID_STATE', `${how}: the VM is ${state}, and must be ${from.join(' or ')}.`, 'vmId');
}

/** Why the VM can't go from one host to the other; null when the database knows of nothing. */
function unfit(source: FleetHost, target: FleetHost, refusals: ReadonlyMap<string, string>): DomainError | null {
  const because = (code: 'BAD_USER_INPUT' | 'INVALID_STATE', message: string): DomainError => new DomainError(code, message, { field: 'hostId' });
  if (target.id === source.id) return because('BAD_USER_INPUT', `The VM is on host "${target.name}" already.`);
  if (target.state !== 'ONLINE') return because('INVALID_STATE', `Host "${target.name}" is ${target.state}.`);
  const unreachable = [source, target].find(({ migrationUri }) => migrationUri === null);
  if (unreachable) return because('INVALID_STATE', `Host "${unreachable.name}" has no migrationUri: other hosts can't reach it.`);
  const reason = refusals.get(target.id);
  return reason === undefined ? null : because('INVALID_STATE', reason);
}

/** Tries the hosts that are left, the best first: storage, and room that is taken meanwhile, have their say when it is claimed. */
async function beginAnywhere(
  tx: Tx,
  request: MigrationRequest,
  source: FleetHost,
  hosts: readonly FleetHost[],
  refusals: ReadonlyMap<string, string>,
  has: { disks: boolean; nics: boolean },
): Promise<Begun> {
  const reasons: string[] = [];
  const fit = hosts.filter((host) => {
    const reason = unfit(source, host, refusals);
    if (reason && host.id !== source.id) reasons.push(reason.message);
    return reason === null;
  });
  const wanted: PlacementRequest = { vcpus: request.vm.vcpus, memory: request.vm.memory, strategy: 'SPREAD' };
  const facts = fit.map((host) => ({ ...host, vmIds: new Set<string>() }));
  const ranked = place(wanted, facts).candidates.filter(({ score }) => score !== null);
  for (const { hostId } of ranked) {
    const target = fit.find(({ id }) => id === hostId);
    if (!target) continue;
    await tx.$executeRawUnsafe('SAVEPOINT candidate');
    try {
      return await begin(tx, request, source, target, has);
    } catch (error) {
      if (!(error instanceof DomainError) || error.field === 'vmId' || error.code === 'QUOTA_EXCEEDED') throw error; // of the VM, or of its tenant: no other host helps
      await tx.$executeRawUnsafe('ROLLBACK TO SAVEPOINT candidate');
      reasons.push(error.message);
    }
  }
  const short = fit.length > 0 && ranked.length === 0 ? [nearestMiss(wanted, facts)] : [];
  throw new DomainError('NO_CAPACITY', ['No other host can take the VM.', ...new Set([...short, ...reasons])].slice(0, 4).join(' '), { field: 'hostId' });
}

async function begin(tx: Tx, request: MigrationRequest, source: FleetHost, target: FleetHost, has: { disks: boolean; nics: boolean }): Promise<Begun> {
  const { vm, migrationId, operationId, mode, copyStorage, bandwidthBytesPerSecond, requestedBy, requestId, parentId } = request;
  const held = await holdVm(tx, vm.id, operationId, FROM[mode], target.id);
  const disks = has.disks ? await holdDisks(tx, vm.id, migrationId, target.id, copyStorage) : null;
  if (target.migrationUri === null) throw new DomainError('INTERNAL', 'A host without a migrationUri was chosen.');
  const steps = planMigration({ migrationId, held, targetHostId: target.id, targetUri: target.migrationUri, disks, hasNics: has.nics, mode, bandwidthBytesPerSecond });
  const bell = await submit(
    tx,
    {
      id: operationId,
      kind: 'vm.migrate',
      targetType: 'Vm',
      targetId: vm.id,
      tenantId: vm.tenantId,
      requestedBy,
      requestId,
      ...(parentId === undefined ? {} : { parentId }),
    },
    steps,
  );
  const migration = await insertMigration(tx, {
    id: migrationId,
    tenantId: vm.tenantId,
    vmId: vm.id,
    fromHostId: source.id,
    toHostId: target.id,
    mode,
    copyStorage,
    copiedDisks: disks?.copied ?? [],
    bandwidthBytesPerSecond,
    operationId,
  });
  return { migration, bell };
}

/** The ids of a migration to be. */
export const newMigrationIds = (): { migrationId: MigrationId; operationId: OperationId } => ({
  migrationId: newId<MigrationId>(),
  operationId: newId<OperationId>(),
});
