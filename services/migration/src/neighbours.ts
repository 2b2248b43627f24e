import type { HostState, storageSteps, VmState, vmsSteps } from '@novacron/contracts';
import type { HostId, MigrationId, OperationId, TenantId, VmId } from '@novacron/core';
import { fromDatabase } from '@novacron/operations';
import type { Database, Tx } from './database.ts';

/** The doors of other services: what migration asks them, and has them do, in its own transactions. */

export interface VmFacts {
  id: VmId;
  tenantId: TenantId;
  name: string;
  state: VmState;
  hostId: HostId | null;
  vcpus: number;
  /** Bytes. */
  memory: number;
  /** What is in flight on it; null: nothing. */
  verb: string | null;
}

interface VmRow {
  id: VmId;
  tenant_id: TenantId;
  name: string;
  state: VmState;
  host_id: HostId | null;
  vcpus: number;
  memory: bigint;
  operation_verb: string | null;
}

const vmFacts = (row: VmRow): VmFacts => ({
  id: row.id,
  tenantId: row.tenant_id,
  name: row.name,
  state: row.state,
  hostId: row.host_id,
  vcpus: row.vcpus,
  memory: Number(row.memory),
  verb: row.operation_verb,
});

type Sql = Database | Tx;

/** A living VM; null when there is none with this id. */
export async function findVm(sql: Sql, id: VmId): Promise<VmFacts | null> {
  const [row] = await sql.$queryRaw<VmRow[]>`SELECT * FROM vms.vm_facts(ARRAY[${id}::uuid])`;
  return row ? vmFacts(row) : null;
}

/** The living VMs of a host, oldest first. */
export const vmsOn = async (sql: Sql, hostId: HostId): Promise<VmFacts[]> =>
  (await sql.$queryRaw<VmRow[]>`SELECT * FROM vms.vms_on(${hostId}::uuid)`).map(vmFacts);

export interface FleetHost {
  id: HostId;
  name: string;
  migrationUri: string | null;
  state: HostState;
  labels: Record<string, unknown>;
  capacity: { vcpus: number; memory: number };
  allocated: { vcpus: number; memory: number };
}

interface HostRow {
  id: HostId;
  name: string;
  migration_uri: string | null;
  state: HostState;
  labels: Record<string, unknown>;
  capacity_vcpus: number;
  capacity_memory: bigint;
  allocated_vcpus: number;
  allocated_memory: bigint;
}

export const fleet = async (sql: Sql): Promise<FleetHost[]> =>
  (await sql.$queryRaw<HostRow[]>`SELECT * FROM vms.host_facts()`).map((row) => ({
    id: row.id,
    name: row.name,
    migrationUri: row.migration_uri,
    state: row.state,
    labels: row.labels,
    capacity: { vcpus: row.capacity_vcpus, memory: Number(row.capacity_memory) },
    allocated: { vcpus: row.allocated_vcpus, memory: Number(row.allocated_memory) },
  }));

/** What a door refuses is an error of the domain. */
async function ask<Answer>(work: Promise<{ value: Answer }[]>): Promise<Answer> {
  try {
    const [row] = await work;
    return row?.value as Answer; // a function that answers one value answers one row
  } catch (error) {
    throw fromDatabase(error);
  }
}

/** Takes the VM, and room for it on the target. NOT_FOUND, INVALID_STATE, BAD_USER_INPUT, UNAVAILABLE, NO_CAPACITY, with the field. */
export const holdVm = (tx: Tx, vmId: VmId, operationId: OperationId, from: readonly VmState[], target: HostId): Promise<vmsSteps.HeldVm> =>
  ask(tx.$queryRaw<{ value: vmsSteps.HeldVm }[]>`SELECT vms.hold_for(${vmId}::uuid, ${operationId}::uuid, 'migrate', ${[...from]}::text[], 'MIGRATING', ${target}::uuid) AS value`);

/** Claims on the target what the VM's disks need there. Refuses what it can't take, with the reason. */
export const holdDisks = (tx: Tx, vmId: VmId, migrationId: MigrationId, target: HostId, copy: boolean): Promise<storageSteps.HeldMigration> =>
  ask(tx.$queryRaw<{ value: storageSteps.HeldMigration }[]>`SELECT storage.hold_migration(${vmId}::uuid, ${migrationId}::uuid, ${target}::uuid, ${copy}) AS value`);

/** Why hosts can't have the VM's networks; a host without an entry can. */
export async function networkRefusals(sql: Sql, vmId: VmId): Promise<Map<string, string>> {
  const rows = await sql.$queryRaw<{ host_id: string; reason: string | null }[]>`SELECT host_id, reason FROM network.hosts_for_vm(${vmId}::uuid)`;
  return new Map(rows.flatMap(({ host_id, reason }) => (reason === null ? [] : [[host_id, reason] as const])));
}

export async function hasDevices(sql: Sql, vmId: VmId): Promise<{ disks: boolean; nics: boolean }> {
  const rows = await sql.$queryRaw<{ kind: string }[]>`SELECT device ->> 'kind' AS kind FROM vms.devices_of(${vmId}::uuid) AS device`;
  const kinds = new Set(rows.map(({ kind }) => kind));
  return { disks: kinds.has('disk'), nics: kinds.has('nic') };
}
