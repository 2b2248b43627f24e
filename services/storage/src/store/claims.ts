import type { HeldVm, VmState } from '@novacron/contracts';
import type { HostId, OperationId, PoolId, TenantId, VmId } from '@novacron/core';
import { chargeQuota, fromDatabase } from '@novacron/operations';
import type { Database, Tx } from '../database.ts';

async function ask<Value>(sql: Tx | Database, query: string, ...values: unknown[]): Promise<Value> {
  try {
    const [row] = await sql.$queryRawUnsafe<{ value: Value }[]>(query, ...values);
    return row?.value as Value; // each query below has one row
  } catch (error) {
    throw fromDatabase(error);
  }
}

/** Claims room in a pool; negative gives it back. NO_CAPACITY. */
export const claimRoom = async (tx: Tx, poolId: string, bytes: bigint, field?: string): Promise<void> => {
  await ask(tx, 'SELECT claim_room($1::uuid, $2::bigint, $3)::text AS value', poolId, bytes, field ?? null);
};

/** Claims room in the pool that has most of it, of all that can be reached now. NO_CAPACITY, UNAVAILABLE. */
export const takeRoom = (tx: Tx, bytes: bigint, field?: string): Promise<PoolId> =>
  ask(tx, 'SELECT take_room(NULL, $1::bigint, $2) AS value', bytes, field ?? null);

/**
 * Charges a tenant with bytes of volumes and snapshots, and with a number of snapshots; negative gives back. QUOTA_EXCEEDED. After the room is
 * claimed, always: everything of a tenant meets in this row.
 */
export const charge = (tx: Tx, tenantId: string, used: { storage: bigint; snapshots?: number }, field?: string): Promise<void> =>
  chargeQuota(tx, tenantId as TenantId, { ...used, storage: Number(used.storage) }, field); // brands are added where rows come in

/** Takes a VM for an operation of ours, in the transaction of the mutation. INVALID_STATE, UNAVAILABLE. */
export const holdVmFor = (tx: Tx, vmId: VmId, operationId: OperationId, verb: 'attach' | 'detach' | 'resize', from: readonly VmState[]): Promise<HeldVm> =>
  ask(tx, 'SELECT vms.hold_for($1::uuid, $2::uuid, $3, $4::text[], NULL, NULL) AS value', vmId, operationId, verb, [...from]);

export interface VmFact {
  id: string;
  tenantId: string;
  state: VmState;
  hostId: HostId | null;
}

/** Living VMs; an id that names none has no row. */
export async function vmFacts(sql: Tx | Database, ids: readonly string[]): Promise<VmFact[]> {
  const rows = await sql.$queryRawUnsafe<{ id: string; tenant_id: string; state: VmState; host_id: HostId | null }[]>(
    'SELECT id, tenant_id, state, host_id FROM vms.vm_facts($1::uuid[])',
    ids,
  );
  return rows.map((row) => ({ id: row.id, tenantId: row.tenant_id, state: row.state, hostId: row.host_id }));
}

export interface HostFact {
  id: HostId;
  name: string;
  state: string;
}

/** Every host of the fleet. */
export const hostFacts = (sql: Tx | Database): Promise<HostFact[]> => sql.$queryRawUnsafe<HostFact[]>('SELECT id, name, state FROM vms.host_facts()');
