import { requireInTenant, requireViewer, vmsSteps, type RequestContext } from '@novacron/contracts';
import { DomainError, newId, parseId, type NetworkId, type NicId, type OperationId, type SecurityGroupId, type TenantId, type VmId } from '@novacron/core';
import { inTransaction } from '@novacron/database';
import { operationOf, plan, submit } from '@novacron/operations';
import type { Database, Tx } from './database.ts';
import { findVm, holdNic, holdVm } from './doors.ts';
import { withGroups, type NicWithGroups } from './loaders.ts';
import { DROP_NIC, HOLD_DETACH, HOLD_NIC, MAKE_NIC } from './operations/nics.ts';
import type { Accepted } from './requests.ts';
import { checkAddress, checkMac, LIMITS } from './rules.ts';
import { planFilters } from './security-groups.ts';

export interface AttachNicInput {
  vmId: string;
  networkId: string;
  mac?: string | null | undefined;
  address?: string | null | undefined;
  securityGroupIds?: readonly string[] | null | undefined;
}

/** The states of a VM whose devices can change. */
const FROM = ['STOPPED', 'RUNNING', 'PAUSED', 'CRASHED'] as const;

/** The tenant's own groups, locked against their deletion. NOT_FOUND, BAD_USER_INPUT (securityGroupIds). */
async function setGroups(tx: Tx, nicId: string, tenantId: string, ids: readonly string[]): Promise<void> {
  const field = 'securityGroupIds';
  const wanted = [...new Set(ids.map((id) => parseId<SecurityGroupId>(id, 'security group', field)))].toSorted();
  const { most } = LIMITS.groupsOfNic;
  if (wanted.length > most) throw new DomainError('BAD_USER_INPUT', `A NIC has at most ${most} security groups.`, { field });
  const known = await tx.$queryRaw<{ id: string }[]>`SELECT id FROM security_group WHERE id = ANY (${wanted}::uuid[]) AND tenant_id = ${tenantId}::uuid ORDER BY id FOR SHARE`;
  if (known.length < wanted.length) throw new DomainError('NOT_FOUND', 'There is no security group with this id.', { field });
  await tx.nicGroup.deleteMany({ where: { nicId } });
  await tx.nicGroup.createMany({ data: wanted.map((groupId) => ({ nicId, groupId })) });
}

const readNic = (tx: Tx, id: string): Promise<NicWithGroups> => tx.nic.findUniqueOrThrow({ where: { id }, include: withGroups });

/** Gives a VM a NIC, live where it runs. */
export function attachNic(database: Database, context: RequestContext, input: AttachNicInput): Promise<Accepted<NicWithGroups>> {
  requireViewer(context.viewer);
  const vmId = parseId<VmId>(input.vmId, 'VM', 'vmId');
  const networkId = parseId<NetworkId>(input.networkId, 'network', 'networkId');
  const mac = input.mac == null ? null : checkMac(input.mac);
  const address = input.address == null ? null : checkAddress(input.address);
  return inTransaction(database, async (tx) => {
    const vm = await findVm(tx, vmId);
    if (!vm) throw new DomainError('NOT_FOUND', 'There is no VM with this id.', { field: 'vmId' });
    requireInTenant(context.viewer, 'nic:attach', vm.tenantId, 'VM', 'vmId');
    const operationId = newId<OperationId>();
    const held = await holdVm(tx, vmId, operationId, 'attach', FROM);
    const { most } = LIMITS.nicsOfVm;
    if ((await tx.nic.count({ where: { vmId } })) >= most) throw new DomainError('QUOTA_EXCEEDED', `A VM has at most ${most} NICs.`, { field: 'vmId' });
    const device = await holdNic(tx, { vmId, tenantId: vm.tenantId, hostId: held.hostId, networkId, mac, address });
    await setGroups(tx, device.id, vm.tenantId, input.securityGroupIds ?? []);
    const at = { hostId: held.hostId };
    const bell = await submit(tx, nicOperation(context, operationId, 'nic.attach', device.id, vm.tenantId), [
      plan(vmsSteps.HOLD, held.hold, { done: true }),
      plan(HOLD_NIC, { nicId: device.id }, { done: true }),
      plan(MAKE_NIC, { nicId: device.id }, at),
      plan(vmsSteps.ATTACH_DEVICE, { vmId, device }, at),
    ]);
    return { row: await readNic(tx, device.id), operationId, bell };
  });
}

/** Takes a NIC from its VM, live where it runs. */
export function detachNic(database: Database, context: RequestContext, id: string): Promise<Accepted<NicWithGroups>> {
  return inTransaction(database, async (tx) => {
    const nic = await lockNic(tx, context, id, 'nic:detach');
    const nicId = nic.id as NicId; // brands are added where rows come in
    const operationId = newId<OperationId>();
    const vmId = nic.vmId as VmId;
    const held = await holdVm(tx, vmId, operationId, 'detach', FROM);
    if (nic.state !== 'ACTIVE') throw new DomainError('INVALID_STATE', 'The NIC is being detached already.');
    await tx.nic.update({ where: { id: nicId }, data: { state: 'DETACHING' } });
    const at = { hostId: held.hostId };
    const bell = await submit(tx, nicOperation(context, operationId, 'nic.detach', nicId, nic.tenantId), [
      plan(vmsSteps.HOLD, held.hold, { done: true }),
      plan(HOLD_DETACH, { nicId }, { done: true }),
      plan(vmsSteps.DETACH_DEVICE, { vmId, deviceId: nicId }, at),
      plan(DROP_NIC, { nicId }, at),
    ]);
    return { row: await readNic(tx, nicId), operationId, bell };
  });
}

/** Puts a NIC under these groups and no others, live where its VM runs. */
export function setNicSecurityGroups(database: Database, context: RequestContext, id: string, groupIds: readonly string[]): Promise<Accepted<NicWithGroups>> {
  return inTransaction(database, async (tx) => {
    const nic = await lockNic(tx, context, id, 'nic:update');
    if (nic.state === 'RELEASING' || nic.state === 'DETACHING') throw new DomainError('INVALID_STATE', 'The NIC is being removed.');
    if (nic.address === null && groupIds.length > 0) {
      throw new DomainError('INVALID_STATE', "The NIC is on QEMU's user-mode network, which knows no security groups: its host's libvirt makes no bridges.");
    }
    await setGroups(tx, nic.id, nic.tenantId, groupIds);
    const operationId = newId<OperationId>();
    const bell = await submit(tx, nicOperation(context, operationId, 'nic.update', nic.id, nic.tenantId), await planFilters(tx, { id: nic.id }));
    return { row: await readNic(tx, nic.id), operationId, bell };
  });
}

/** The NIC, locked, if the viewer may do this to it. A foreign tenant's is NOT_FOUND. */
async function lockNic(tx: Tx, context: RequestContext, id: string, permission: 'nic:detach' | 'nic:update'): Promise<NicWithGroups> {
  requireViewer(context.viewer);
  const nicId = parseId<NicId>(id, 'NIC');
  await tx.$queryRaw`SELECT FROM nic WHERE id = ${nicId}::uuid FOR UPDATE`;
  const nic = await tx.nic.findUnique({ where: { id: nicId }, include: withGroups });
  if (!nic) throw new DomainError('NOT_FOUND', 'There is no NIC with this id.');
  requireInTenant(context.viewer, permission, nic.tenantId, 'NIC');
  return nic;
}

const nicOperation = (context: RequestContext, id: OperationId, kind: string, nicId: string, tenantId: string) =>
  operationOf(context, { id, kind, targetType: 'Nic', targetId: nicId, tenantId: tenantId as TenantId });

