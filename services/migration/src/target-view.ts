import type { VmId } from '@novacron/core';
import { inTransaction, type Database, type MigrationRow, type Tx } from './database.ts';
import { changeMigration } from './store.ts';
import type { TargetSeen } from './generated/prisma/enums.ts';

/**
 * What the two ends of a migration say to each other, through its row: the target's agent what it sees, the source's that it
 * wants to know, and whether what waits on the target may be removed. It is no news to anyone else.
 */

/** A migration to this host that is under way. */
export interface Arrival {
  id: string;
  vmId: VmId;
  seen: TargetSeen | null;
  /** The source has asked since. */
  isAsked: boolean;
  isUnwanted: boolean;
}

interface ArrivalRow {
  id: string;
  vm_id: VmId;
  target_seen: TargetSeen | null;
  is_asked: boolean;
  target_unwanted: boolean;
}

/** The migrations to a host that have got so far that its libvirt may show something of them. */
export async function arrivalsAt(database: Database, hostId: string): Promise<Arrival[]> {
  const rows = await database.$queryRaw<ArrivalRow[]>`
    SELECT id, vm_id, target_seen::text, target_unwanted, target_asked_at IS NOT NULL AND target_seen_at IS DISTINCT FROM greatest(target_seen_at, target_asked_at) AS is_asked
    FROM migration WHERE to_host_id = ${hostId}::uuid AND finished_at IS NULL AND state NOT IN ('QUEUED', 'CHECKING')`;
  return rows.map((row) => ({ id: row.id, vmId: row.vm_id, seen: row.target_seen, isAsked: row.is_asked, isUnwanted: row.target_unwanted }));
}

/** The target's agent has looked; `at`: when it began to, by the database's clock, or null: now. */
export const reportTarget = (database: Database, hostId: string, vmId: string, seen: TargetSeen, at: Date | null = null): Promise<unknown> =>
  database.$executeRaw`
    UPDATE migration SET target_seen = ${seen}::target_seen, target_seen_at = coalesce(${at?.toISOString() ?? null}::timestamptz, clock_timestamp())
    WHERE vm_id = ${vmId}::uuid AND to_host_id = ${hostId}::uuid AND finished_at IS NULL`;

export interface TargetView {
  /** Null: nothing that is newer than the question. */
  seen: TargetSeen | null;
  autoConverge: boolean;
  row: MigrationRow;
}
