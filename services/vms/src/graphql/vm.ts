import { requireScope, requireViewer, can, tenantsWith } from '@novacron/contracts';
import { isId, type OperationId, type TenantId } from '@novacron/core';
import { connectionType, forwardArguments, pageArguments, verdictOf, verdictType, vmFilterInput, vmStateEnum } from '@novacron/graphql';
import type { KernelBoot } from '../boot-files.ts';
import type { StoredPlacement } from '../create-vm.ts';
import type { VmRow } from '../database.ts';
import { listVms, VM_ORDER_FIELDS } from '../list-vms.ts';
import { parseAction, requireMay } from '../may-begin.ts';
import { builder } from './context.ts';
import { Host } from './host.ts';
import { PlacementDecision } from './placement.ts';
import { Tenant, User } from './stubs.ts';

const VmState = vmStateEnum(builder);
const VmFilter = vmFilterInput(builder, VmState);
const Verdict = verdictType(builder);
const shareable = { directives: [{ name: 'shareable', args: {} }] as never }; // plugin-federation types only the directives of its own options

const VmKernel = builder.objectRef<KernelBoot>('VmKernel').implement({
  description: 'Direct kernel boot: files on the host, below NOVACRON_BOOT_DIRS.',
  fields: (t) => ({
    kernel: t.exposeString('kernel', { description: 'Path of the kernel.' }),
    initrd: t.exposeString('initrd', { nullable: true, description: 'Path of the initial RAM disk.' }),
    cmdline: t.exposeString('cmdline', { nullable: true, description: "The kernel's command line; console=ttyS0 when none was given." }),
  }),
});

export const Vm = builder.objectRef<VmRow>('Vm').implement({
  description: 'A virtual machine.',
  tokenScopes: ['vm:read'],
  fields: (t) => ({
    id: t.exposeID('id', { description: "Its id, and its domain's UUID on the host." }),
    name: t.exposeString('name', { ...shareable, description: 'Its name, unique in its tenant.' }),
    state: t.field({ ...shareable, type: VmState, description: 'What the hypervisor says, as last observed, or the verb in flight.', resolve: (vm) => vm.state }),
    stateReason: t.exposeString('stateReason', { nullable: true, description: 'Why it is in this state, where that needs explaining.' }),
    desiredState: t.field({ ...shareable, type: VmState, description: 'What was last asked for.', resolve: (vm) => vm.desiredState }),
    generation: t.exposeInt('generation', { ...shareable, description: 'Grows with every change.' }),
    vcpus: t.exposeInt('vcpus', { description: 'Its virtual CPUs.' }),
    memory: t.field({ type: 'ByteSize', description: 'Its memory.', resolve: (vm) => vm.memory }),
    tags: t.exposeStringList('tags', { description: 'Its tags, in the order given.' }),
    kernel: t.field({
      type: VmKernel,
      nullable: true,
      description: 'The kernel that it boots directly; null when it boots from its disks.',
      resolve: (vm) => vm.kernel as unknown as KernelBoot | null, // written by createVm
    }),
    tenant: t.field({ type: Tenant, description: 'Whose it is.', resolve: (vm) => ({ id: vm.tenantId }) }),
    createdBy: t.field({ type: User, nullable: true, description: 'Who made it.', resolve: (vm) => (vm.createdBy === null ? null : { id: vm.createdBy }) }),
    host: t.field({
      type: Host,
      nullable: true,
      description: 'Where it is; null until placed.',
      resolve: (vm, _args, { loaders }) => (vm.hostId === null ? null : loaders.host.load(vm.hostId)),
    }),
    placement: t.field({
      type: PlacementDecision,
      nullable: true,
      description: 'Why it is there.',
      resolve: (vm) => vm.placement as unknown as StoredPlacement | null, // written by createVm
    }),
    can: t.field({
      type: Verdict,
      description: 'May you do this to it now? The rules are those of the mutations: your permission, its state, its host, and the operations that its tenant may have in flight. Errors: BAD_USER_INPUT (action).',
      args: {
        action: t.arg.string({ required: true, description: 'start, stop, reboot, pause, resume, delete, migrate or update; or the permission for it: "vm:start".' }),
        force: t.arg.boolean({ defaultValue: false, description: 'Of stop: by pulling the plug.' }),
      },
      resolve(vm, { action, force }, { viewer, loaders }) {
        parseAction(action); // what there is not is no verdict
        const lookup = { host: (id: string) => loaders.host.load(id), goesOn: (id: OperationId) => loaders.goesOn.load(id) };
        const room = async (): Promise<void> => void (await loaders.roomInFlight.load(vm.tenantId as TenantId)); // brands are added where rows come in
        return verdictOf(() => requireMay(lookup, viewer, vm, { action, force: force ?? false, requireRoomInFlight: room }));
      },
    }),
    createdAt: t.field({ type: 'DateTime', description: 'When it was asked for.', resolve: (vm) => vm.createdAt }),
    startedAt: t.field({ type: 'DateTime', nullable: true, description: 'Since when it runs, as we saw it; null while it is off.', resolve: (vm) => vm.startedAt }),
  }),
});
builder.asEntity(Vm, {
  key: builder.selection<{ id: string }>('id'),
  async resolveReference({ id }, { viewer, loaders }) {
    requireScope(viewer, ['vm:read']);
    const vm = isId(id) ? await loaders.vm.load(id) : null;
    return vm && can(viewer, 'vm:read', vm.tenantId) ? vm : null;
  },
});

const VmOrderField = builder.enumType('VmOrderField', {
  description: 'What VMs can be sorted by.',
  values: Object.fromEntries(Object.entries(VM_ORDER_FIELDS).map(([name, { description }]) => [name, { description }])) as Record<
    keyof typeof VM_ORDER_FIELDS, // fromEntries forgets the keys
    { description: string }
  >,
});
const VmOrder = builder.inputType('VmOrder', {
  description: 'How to sort VMs; equal ones by age.',
  fields: (t) => ({
    field: t.field({ type: VmOrderField, required: true, description: 'What to sort by.' }),
    descending: t.boolean({ description: 'The largest, or newest, first.' }),
  }),
});

export const VmConnection = connectionType(builder, 'Vm', Vm);

builder.queryFields((t) => ({
  vm: t.field({
    type: Vm,
    nullable: true,
    description: 'One VM; null when there is none with this id that you may see.',
    args: { id: t.arg.id({ required: true, description: 'Its id.' }) },
    async resolve(_root, { id }, { viewer, loaders }) {
      requireViewer(viewer);
      const vm = isId(id) ? await loaders.vm.load(id) : null;
      return vm && can(viewer, 'vm:read', vm.tenantId) ? vm : null;
    },
  }),
  vms: t.field({
    type: VmConnection,
    description: 'The VMs that you may see, oldest first unless sorted. Deleted ones are in no list.',
    args: {
      ...pageArguments(t.arg),
      filter: t.arg({ type: VmFilter, description: 'Which VMs.' }),
      orderBy: t.arg({ type: VmOrder, description: 'How to sort them.' }),
    },
    resolve(_root, { filter, orderBy, ...paging }, { viewer, database }) {
      return listVms(database, { tenants: tenantsWith(requireViewer(viewer), 'vm:read'), filter, orderBy, paging });
    },
  }),
}));

builder.objectField(Host, 'vms', (t) =>
  t.field({
    type: VmConnection,
    description: 'The VMs on it that you may see.',
    args: forwardArguments(t.arg),
    resolve: (host, paging, { viewer, database }) =>
      listVms(database, { tenants: tenantsWith(viewer, 'vm:read'), filter: { hostId: host.id }, orderBy: null, paging }),
  }),
);
