import { requireInTenant, requireViewer, type RequestContext } from '@novacron/contracts';
import { checkName, DomainError, newId, parseId, type OperationId, type TenantId, type VmId } from '@novacron/core';
import { inTransaction, orTaken } from '@novacron/database';
import { goesOn, operationOf, submit, type AcceptedOperation, type PlannedStep } from '@novacron/operations';
import type { KernelBoot } from './boot-files.ts';
import type { Database, Tx, VmRow } from './database.ts';
import { requireMayBegin, type ChangeVerb, type Lookup } from './may-begin.ts';
import { planDelete } from './operations/delete.ts';
import { planPause } from './operations/pause.ts';
import { planReboot } from './operations/reboot.ts';
import { planResume } from './operations/resume.ts';
import { planStart } from './operations/start.ts';
import type { HoldInput } from './operations/steps.ts';
import { planStop } from './operations/stop.ts';
import { planUpdate } from './operations/update.ts';
import type { DefineInput } from './operations/define.ts';
import { checkTags, RULES } from './rules.ts';
import { changeVm, holdVm, lockVm } from './store/vm-changes.ts';
import { devicesOf } from './store/vm-life.ts';

export interface Accepted extends AcceptedOperation {
  vmId: VmId;
  /** The VM as the mutation has left it; null where the mutation only found what was accepted before. */
  vm: VmRow | null;
}

interface PlanContext {
  vm: VmRow;
  hold: HoldInput;
  spec: DefineInput;
  force: boolean;
  keepVolumes: boolean;
}

const PLANS: Record<ChangeVerb, (context: PlanContext) => PlannedStep[]> = {
  start: ({ vm, hold, spec }) => planStart(vm, hold, spec),
  stop: ({ vm, hold, force }) => planStop(vm, hold, force),
  reboot: ({ vm, hold, force }) => planReboot(vm, hold, force),
  pause: ({ vm, hold }) => planPause(vm, hold),
  resume: ({ vm, hold }) => planResume(vm, hold),
  delete: ({ vm, hold, spec, keepVolumes }) => planDelete(vm, hold, spec.devices, keepVolumes),
};

/** What the rules need, in the transaction of a mutation. */
const lookupIn = (tx: Tx): Lookup => ({ host: (id) => tx.host.findUnique({ where: { id } }), goesOn: (id) => goesOn(tx, id) });

/**
 * Accepts a verb on a VM. The same verb in flight answers its operation; another verb, or a state that it does not
 * start from, is INVALID_STATE. A forced stop while a graceful one is in flight turns that one into a forced one.
 */
export function beginVerb(database: Database, context: RequestContext, verb: ChangeVerb, id: string, { force = false, keepVolumes = false } = {}): Promise<Accepted> {
  return inTransaction(database, async (tx) => {
    requireViewer(context.viewer);
    const vm = await lockVm(tx, parseId<VmId>(id, 'VM'));
    const vmId = vm.id as VmId; // brands are added where rows come in
    const host = await requireMayBegin(lookupIn(tx), { viewer: context.viewer, vm, verb, force });
    if (host === null) {
      if (verb === 'stop' && force) await tx.vm.update({ where: { id: vm.id }, data: { forceStop: true } });
      return { vmId, vm, operationId: vm.operationId as OperationId, bell: null };
    }
    const operationId = newId<OperationId>();
    const tenantId = vm.tenantId as TenantId;
    const hold: HoldInput = { vmId, operationId, verb, desiredBefore: vm.desiredState };
    const spec: DefineInput = {
      vmId,
      tenantId,
      name: vm.name,
      vcpus: vm.vcpus,
      memory: Number(vm.memory),
      kernel: vm.kernel as unknown as KernelBoot | null, // written by createVm
      devices: await devicesOf(tx, vm.id),
      accelerated: host.accelerated,
    };
    const held = await holdVm(tx, vm, operationId, verb, RULES[verb].desired);
    const bell = await submit(tx, vmOperation(context, `vm.${verb}`, held, operationId), PLANS[verb]({ vm: held, hold, spec, force, keepVolumes }));
    return { vmId, vm: held, operationId, bell };
  });
}

const vmOperation = (context: RequestContext, kind: string, vm: VmRow, id: OperationId) =>
  operationOf(context, { id, kind, targetType: 'Vm', targetId: vm.id, tenantId: vm.tenantId as TenantId });

export interface UpdateVmInput {
  id: string;
  name?: string | null | undefined;
  tags?: readonly string[] | null | undefined;
  ifGeneration?: number | null | undefined;
}

/** Renames and tags, at any time of a VM's life. */
export async function updateVm(database: Database, context: RequestContext, input: UpdateVmInput): Promise<Accepted> {
  const change = {
    ...(input.name == null ? {} : { name: checkName(input.name), liveName: input.name }),
    ...(input.tags == null ? {} : { tags: checkTags(input.tags) }),
  };
  try {
    return await inTransaction(database, async (tx) => {
      requireViewer(context.viewer);
      const before = await lockVm(tx, parseId<VmId>(input.id, 'VM'));
      requireInTenant(context.viewer, 'vm:update', before.tenantId, 'VM');
      if (input.ifGeneration != null && input.ifGeneration !== before.generation) {
        throw new DomainError('CONFLICT', `The VM has changed since: its generation is ${before.generation}.`, { field: 'ifGeneration' });
      }
      const vm = await changeVm(tx, before, change);
      const host = vm.hostId === null ? null : await tx.host.findUnique({ where: { id: vm.hostId } });
      const operationId = newId<OperationId>();
      const vmId = vm.id as VmId;
      const retitle = vm.name !== before.name && host !== null && host.state !== 'OFFLINE';
      const bell = await submit(tx, vmOperation(context, 'vm.update', vm, operationId), planUpdate(vm, vmId, retitle));
      return { vmId, vm, operationId, bell };
    });
  } catch (error) {
    throw orTaken(error, 'name', `The tenant has a VM named "${input.name}" already.`);
  }
}
