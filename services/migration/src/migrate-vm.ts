import { requireInTenant, requireViewer, type RequestContext } from '@novacron/contracts';
import { DomainError, parseId, type HostId, type MigrationId, type OperationId, type VmId } from '@novacron/core';
import { inTransaction } from '@novacron/database';
import { firstResult, requestCancel, type AcceptedOperation } from '@novacron/operations';
import { beginMigration, newMigrationIds } from './begin-migration.ts';
import type { Database, MigrationRow, Tx } from './database.ts';
import { findVm } from './neighbours.ts';
import { checkBandwidth, checkMode, isOver } from './rules.ts';
import { changeMigration, findMigration, findUnderWay } from './store.ts';

export interface MigrateVmInput {
  vmId: string;
  hostId?: string | null | undefined;
  mode?: string | null | undefined;
  bandwidthBytesPerSecond?: number | null | undefined;
  copyStorage?: boolean | null | undefined;
  idempotencyKey?: string | null | undefined;
}

export interface Accepted extends Pick<AcceptedOperation, 'bell'> {
  migration: MigrationRow;
}

/**
 * Accepts a migration. Asked again while the VM is on its way to the same host, it answers the migration that is under way.
 */
export function migrateVm(database: Database, context: RequestContext, input: MigrateVmInput): Promise<Accepted> {
  const viewer = requireViewer(context.viewer);
  const vmId = parseId<VmId>(input.vmId, 'VM', 'vmId');
  const wanted = {
    vmId,
    hostId: input.hostId == null ? null : parseId<HostId>(input.hostId, 'host', 'hostId'),
    mode: checkMode(input.mode),
    copyStorage: input.copyStorage ?? false,
    bandwidthBytesPerSecond: checkBandwidth(input.bandwidthBytesPerSecond),
  };
  return inTransaction(database, async (tx) => {
    await tx.$queryRaw`SELECT pg_advisory_xact_lock(hashtextextended('migrate ' || ${vmId}, 0))::text`; // asked twice at once, the second finds the first
    const vm = await findVm(tx, vmId);
    if (!vm) throw new DomainError('NOT_FOUND', 'There is no VM with this id.', { field: 'vmId' });
    requireInTenant(viewer, 'vm:migrate', vm.tenantId, 'VM', 'vmId');
    const ids = newMigrationIds();
    const first = await firstResult(tx, context, 'migrateVm', input.idempotencyKey, wanted, ids);
    if (first) return { migration: await requireMigration(tx, first.migrationId), bell: null };
    const underWay = vm.verb === 'migrate' ? await findUnderWay(tx, vmId) : null;
    if (underWay && (wanted.hostId === null || wanted.hostId === underWay.toHostId)) return { migration: underWay, bell: null };
    if (underWay) throw new DomainError('INVALID_STATE', 'The VM is busy: it is on its way to another host.', { field: 'hostId' });
    return beginMigration(tx, { ...wanted, ...ids, vm, requestedBy: viewer.userId, requestId: context.requestId });
  });
}

async function requireMigration(sql: Database | Tx, id: MigrationId): Promise<MigrationRow> {
  const row = await findMigration(sql, id);
  if (!row) throw new DomainError('NOT_FOUND', 'There is no migration with this id.');
  return row;
}

/** Asks for the migration's end, with the VM where it was. Idempotent while it is being cancelled; INVALID_STATE when it is too late. */
export function cancelMigration(database: Database, { viewer }: RequestContext, text: string): Promise<Accepted> {
  requireViewer(viewer);
  const id = parseId<MigrationId>(text, 'migration');
  return inTransaction(database, async (tx) => {
    const known = await requireMigration(tx, id);
    requireInTenant(viewer, 'migration:cancel', known.tenantId, 'migration');
    // the migration's row before the operation's: as the steps lock them
    const row = isOver(known.state) ? known : ((await changeMigration(tx, id, { state: 'CANCELLING' })) ?? known);
    return { migration: row, bell: await requestCancel(tx, row.operationId as OperationId) }; // brands are added where rows come in
  });
}
