import type { TenantId, VmId } from '@novacron/core';
import { chargeQuota, emit } from '@novacron/operations';
import type { Tx, VmRow } from '../database.ts';
import { releaseClaim } from './host-claims.ts';
import { changeVm, factsOf, findLockedVm } from './vm-changes.ts';
import type { VmUncheckedCreateInput } from '../generated/prisma/models.ts';

/** A VM's beginning: the row, told. Its quota is charged and its room claimed before, in the same transaction. */
export async function insertVm(tx: Tx, vm: VmUncheckedCreateInput): Promise<VmRow> {
  const row = await tx.vm.create({ data: vm });
  await emit(tx, { type: 'vm.created', entityId: row.id as VmId, tenantId: row.tenantId as TenantId, after: factsOf(row) });
  return row;
}

/** A VM's end: its name is free, its claim and quota given back; the record stays for whoever still asks. Idempotent. */
export async function buryVm(tx: Tx, vmId: VmId): Promise<void> {
  const vm = await findLockedVm(tx, vmId);
  if (!vm) return;
  // quota before host, as in createVm: two orders of the same locks would be a deadlock
  await chargeQuota(tx, vm.tenantId as TenantId, { vms: -1, vcpus: -vm.vcpus, memory: -Number(vm.memory) });
  if (vm.hostId !== null) await releaseClaim(tx, vm.hostId, vm);
  await changeVm(
    tx,
    vm,
    { deletedAt: new Date(), liveName: null, desiredState: 'DELETED', operationId: null, operationVerb: null, startedAt: null },
    'vm.deleted',
  );
}
