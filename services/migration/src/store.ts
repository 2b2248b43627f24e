import type { MigrationFacts } from '@novacron/contracts';
import type { MigrationId, TenantId, VmId } from '@novacron/core';
import { inTransaction } from '@novacron/database';
import { emit } from '@novacron/operations';
import type { Database, MigrationRow, Tx } from './database.ts';
import { Prisma } from './generated/prisma/client.ts';
import type { MigrationUncheckedCreateInput, MigrationUpdateManyMutationInput } from './generated/prisma/models.ts';
import { FINAL_STATES } from './rules.ts';

/** Every write to a migration: each is told, as the last statement of its transaction. */

/** What an event tells of a migration. */
const factsOf = (row: MigrationRow): MigrationFacts => ({ vmId: row.vmId as VmId, state: row.state, progress: row.progress });

const tell = (tx: Tx, row: MigrationRow): Promise<void> =>
  emit(tx, { type: 'migration.changed', entityId: row.id as MigrationId, tenantId: row.tenantId as TenantId, after: factsOf(row) }); // brands are added where rows come in

export async function insertMigration(tx: Tx, data: MigrationUncheckedCreateInput): Promise<MigrationRow> {
  const row = await tx.migration.create({ data });
  await tell(tx, row);
  return row;
}

export type Change = Omit<MigrationUpdateManyMutationInput, 'generation'>;

/** Changes a migration that is not over, and tells it. Null when it is over, or was never there. */
export async function changeMigration(tx: Tx, id: string, change: Change): Promise<MigrationRow | null> {
  const [row] = await tx.migration.updateManyAndReturn({ where: { id, state: { notIn: [...FINAL_STATES] } }, data: { ...change, generation: { increment: 1 } } });
  if (row === undefined) return null;
  await tell(tx, row);
  return row;
}

/** The same, in a transaction of its own. */
export const writeMigration = (database: Database, id: string, change: Change): Promise<MigrationRow | null> =>
  inTransaction(database, (tx) => changeMigration(tx, id, change));

export const findMigration = (sql: Database | Tx, id: string): Promise<MigrationRow | null> => sql.migration.findUnique({ where: { id } });

/** The VM's migration that is under way. */
export const findUnderWay = (sql: Database | Tx, vmId: string): Promise<MigrationRow | null> =>
  sql.migration.findFirst({ where: { vmId, finishedAt: null }, orderBy: { id: 'desc' } });

/** `Json` columns tell a JSON null from none. */
export const noJson = Prisma.DbNull;
