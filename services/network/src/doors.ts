import type { NicDevice, VmState, vmsSteps } from '@novacron/contracts';
import type { HostId, NetworkId, OperationId, TenantId, VmId } from '@novacron/core';
import { fromDatabase } from '@novacron/operations';
import type { Database, Tx } from './database.ts';

/** What SQL functions decide, ours and those of vms, with their refusals as errors of the domain. */
async function ask<Rows>(work: Promise<Rows>): Promise<Rows> {
  try {
    return await work;
  } catch (error) {
    throw fromDatabase(error);
  }
}

export interface VmFacts {
  id: VmId;
  tenantId: TenantId;
  name: string;
  hostId: HostId | null;
}

/** A living VM; null when there is none. */
export async function findVm(sql: Database | Tx, id: VmId): Promise<VmFacts | null> {
  const [vm] = await ask(sql.$queryRaw<VmFacts[]>`SELECT id, tenant_id AS "tenantId", name, host_id AS "hostId" FROM vms.vm_facts(ARRAY[${id}::uuid])`);
  return vm ?? null;
}

/** Takes a VM for an operation of ours. NOT_FOUND, INVALID_STATE, UNAVAILABLE (vmId). */
export async function holdVm(tx: Tx, vmId: VmId, operationId: OperationId, verb: 'attach' | 'detach', from: readonly VmState[]): Promise<vmsSteps.HeldVm> {
  const [row] = await ask(tx.$queryRaw<{ held: vmsSteps.HeldVm }[]>`SELECT vms.hold_for(${vmId}::uuid, ${operationId}::uuid, ${verb}, ${[...from]}::text[]) AS held`);
  return row?.held as vmsSteps.HeldVm; // the function answers one row, or refuses
}

export interface NicRequest {
  vmId: VmId;
  tenantId: TenantId;
  hostId: HostId;
  networkId: NetworkId;
  mac: string | null;
  address: string | null;
}

/** Reserves a NIC: see network.hold_nic. */
export async function holdNic(tx: Tx, { vmId, tenantId, hostId, networkId, mac, address }: NicRequest): Promise<NicDevice> {
  const [row] = await ask(tx.$queryRaw<{ device: NicDevice }[]>`
    SELECT network.hold_nic(${vmId}::uuid, ${tenantId}::uuid, ${hostId}::uuid, ${networkId}::uuid, ${mac}, ${address}::inet, 'networkId') AS device`);
  return row?.device as NicDevice; // the function answers one row, or refuses
}

/** Why a VM's networks can't be on a host; null: they can. */
export async function migrationRefusal(database: Database, vmId: VmId, hostId: HostId): Promise<string | null> {
  const [row] = await ask(database.$queryRaw<{ reason: string | null }[]>`SELECT reason FROM network.hosts_for_vm(${vmId}::uuid) WHERE host_id = ${hostId}::uuid`);
  return row?.reason ?? null;
}

/** Is there a host that can have overlays? */
export async function canHaveOverlays(tx: Tx): Promise<boolean> {
  const rows = await ask(tx.$queryRaw<unknown[]>`
    SELECT FROM network.tunnel_ends() t JOIN host_networking a USING (host_id) WHERE t.address IS NOT NULL AND a.overlays LIMIT 1`);
  return rows.length > 0;
}

/** Where the hosts of the fleet reach each other, as far as addresses are known. */
export const fleetAddresses = async (tx: Tx): Promise<string[]> =>
  (await ask(tx.$queryRaw<{ address: string }[]>`SELECT address FROM network.tunnel_ends() WHERE address IS NOT NULL`)).map(({ address }) => address);
