import type { Device } from '@novacron/contracts';
import type { TenantId, VmId } from '@novacron/core';
import { chargeQuota, emit } from '@novacron/operations';
import type { Database, Tx, VmRow } from '../database.ts';
import { releaseClaim } from './host-claims.ts';
import { changeVm, factsOf, findLockedVm } from './vm-changes.ts';
import type { VmUncheckedCreateInput } from '../generated/prisma/models.ts';

/** A VM's beginning: the row, told. Its quota is charged and its room claimed before, in the same transaction. */
export async function insertVm(tx: Tx, vm: VmUncheckedCreateInput): Promise<VmRow> {
  const row = await tx.vm.create({ data: vm });
  await emit(tx, { type: 'vm.created', entityId: row.id as VmId, tenantId: row.tenantId as TenantId, after: factsOf(row) });
  return row;
}

/** What its domain is to have, in this order. */
export async function insertDevices(tx: Tx, vmId: VmId, devices: readonly Device[], firstPlace = 0): Promise<void> {
  if (devices.length === 0) return;
  await tx.vmDevice.createMany({
    data: devices.map((device, index) => ({ id: device.id, vmId, kind: device.kind, place: firstPlace + index, device: { ...device } })),
  });
}

/** What its domain has, in order. */
export const devicesOf = async (sql: Database | Tx, vmId: string): Promise<Device[]> =>
  (await sql.vmDevice.findMany({ where: { vmId }, orderBy: { place: 'asc' } })).map(({ device }) => device as unknown as Device); // written by insertDevices

/** A VM's end: its name is free, its claim and quota given back; the record stays for whoever still asks. Idempotent. */
export async function buryVm(tx: Tx, vmId: VmId): Promise<void> {
  const vm = await findLockedVm(tx, vmId);
  if (!vm) return;
  // quota before host, as in createVm: two orders of the same locks would be a deadlock
  await chargeQuota(tx, vm.tenantId as TenantId, { vms: -1, vcpus: -vm.vcpus, memory: -Number(vm.memory) });
  if (vm.hostId !== null) await releaseClaim(tx, vm.hostId, vm);
  await tx.vmDevice.deleteMany({ where: { vmId } });
  await changeVm(
    tx,
    vm,
    { deletedAt: new Date(), liveName: null, desiredState: 'DELETED', operationId: null, operationVerb: null, startedAt: null },
    { type: 'vm.deleted' },
  );
}
