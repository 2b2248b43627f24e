import { connectionType, forwardArguments } from '@novacron/graphql';
import { permissionsOf, requireScope, requireViewer } from '@novacron/contracts';
import type { Limits, QuotaResource, Resources } from '@novacron/operations';
import { listTenants } from '../directory.ts';
import { viewTenant, type TenantRecord } from '../visibility.ts';
import { builder } from './context.ts';

/** What each number counts, in the words of the graph. */
const COUNTED = {
  vms: 'VMs: how many it has, running or not.',
  vcpus: 'Virtual CPUs of all its VMs together.',
  memory: 'Memory of all its VMs together.',
  storage: 'Storage: the size of all its volumes, boot disks and snapshots, however much of it is written, and the files of its own images.',
  snapshots: 'Snapshots of all its volumes.',
  networks: 'Networks of its own.',
  operationsInFlight: 'Operations that somebody has asked for and that have not ended. Those that others have begun, such as the moves of a host that is drained, do not count.',
} as const satisfies Record<QuotaResource, string>;

const Quota = builder.objectRef<Limits>('Quota').implement({
  description: 'What a tenant may use at most. Null is without limit.',
  fields: (t) => ({
    vms: t.exposeInt('vms', { nullable: true, description: COUNTED.vms }),
    vcpus: t.exposeInt('vcpus', { nullable: true, description: COUNTED.vcpus }),
    memory: t.field({ type: 'ByteSize', nullable: true, description: COUNTED.memory, resolve: (quota) => quota.memory }),
    storage: t.field({ type: 'ByteSize', nullable: true, description: COUNTED.storage, resolve: (quota) => quota.storage }),
    snapshots: t.exposeInt('snapshots', { nullable: true, description: COUNTED.snapshots }),
    networks: t.exposeInt('networks', { nullable: true, description: COUNTED.networks }),
    operationsInFlight: t.exposeInt('operationsInFlight', { nullable: true, description: COUNTED.operationsInFlight }),
  }),
});

const QuotaUsage = builder.objectRef<Resources>('QuotaUsage').implement({
  description: 'What a tenant uses of its quota now.',
  fields: (t) => ({
    vms: t.exposeInt('vms', { description: COUNTED.vms }),
    vcpus: t.exposeInt('vcpus', { description: COUNTED.vcpus }),
    memory: t.field({ type: 'ByteSize', description: COUNTED.memory, resolve: (usage) => usage.memory }),
    storage: t.field({ type: 'ByteSize', description: COUNTED.storage, resolve: (usage) => usage.storage }),
    snapshots: t.exposeInt('snapshots', { description: COUNTED.snapshots }),
    networks: t.exposeInt('networks', { description: COUNTED.networks }),
    operationsInFlight: t.exposeInt('operationsInFlight', { description: COUNTED.operationsInFlight }),
  }),
});

export const Tenant = builder.objectRef<TenantRecord>('Tenant').implement({
  description: 'A customer, department or project: everything that is not the platform itself belongs to one.',
  tokenScopes: ['tenant:read'],
  fields: (t) => ({
    id: t.exposeID('id', { description: 'Its id.' }),
    name: t.exposeString('name', { description: 'Its name: 1 to 63 of a-z, 0-9 and -, like no other tenant.' }),
    quota: t.field({
      type: Quota,
      description: 'What it may use at most.',
      resolve: async (tenant, _args, { loaders }) => (await loaders.quotas.load(tenant.id)).limits,
    }),
    usage: t.field({
      type: QuotaUsage,
      description: 'What it uses of that now.',
      resolve: async (tenant, _args, { loaders }) => (await loaders.quotas.load(tenant.id)).used,
    }),
    permissions: t.stringList({
      description: 'What you may do in it now, such as "vm:start". Why you may not do it to a VM just now, its can says.',
      resolve: (tenant, _args, { viewer }) => (viewer === null ? [] : permissionsOf(viewer, tenant.id)),
    }),
    createdAt: t.field({ type: 'DateTime', description: 'When it was made.', resolve: (tenant) => tenant.createdAt }),
  }),
});

builder.asEntity(Tenant, {
  key: builder.selection<{ id: string }>('id'),
  resolveReference: async ({ id }, { viewer, loaders }) => {
    requireScope(viewer, ['tenant:read']);
    return viewTenant(await loaders.tenants.load(id), viewer);
  },
});

const TenantConnection = connectionType(builder, 'Tenant', Tenant);

builder.queryFields((t) => ({
  tenant: t.field({
    type: Tenant,
    nullable: true,
    description: 'The tenant with this id; null where there is none, or none that you are a member of.',
    args: { id: t.arg.id({ required: true, description: "The tenant's id." }) },
    resolve: async (_root, { id }, { viewer, loaders }) => viewTenant(await loaders.tenants.load(id), requireViewer(viewer)),
  }),
  tenants: t.field({
    type: TenantConnection,
    description: 'The tenants that you are a member of; all of them for a platform administrator. The oldest first.',
    args: forwardArguments(t.arg),
    resolve: (_root, args, { db, viewer }) => listTenants(db, viewer, args),
  }),
}));

export const QuotaInput = builder.inputType('QuotaInput', {
  description: 'What a tenant may use at most; null is without limit. For a new tenant, what is left out has no limit.',
  fields: (t) => ({
    vms: t.int({ description: COUNTED.vms }),
    vcpus: t.int({ description: COUNTED.vcpus }),
    memory: t.field({ type: 'ByteSize', description: COUNTED.memory }),
    storage: t.field({ type: 'ByteSize', description: COUNTED.storage }),
    snapshots: t.int({ description: COUNTED.snapshots }),
    networks: t.int({ description: COUNTED.networks }),
    operationsInFlight: t.int({ description: COUNTED.operationsInFlight }),
  }),
});

const CreateTenantInput = builder.inputType('CreateTenantInput', {
  description: 'A new tenant.',
  fields: (t) => ({
    name: t.string({ required: true, description: 'Its name: 1 to 63 of a-z, 0-9 and -, like no other tenant.' }),
    quota: t.field({ type: QuotaInput, description: 'What it may use at most; without it there is no limit.' }),
  }),
});

const UpdateTenantInput = builder.inputType('UpdateTenantInput', {
  description: 'What is to change of a tenant. What is left out stays.',
  fields: (t) => ({
    id: t.id({ required: true, description: 'The tenant.' }),
    name: t.string({ description: 'Its name: 1 to 63 of a-z, 0-9 and -, like no other tenant.' }),
    quota: t.field({ type: QuotaInput, description: 'The limits that change. One below what it uses takes nothing away: there is just no more.' }),
  }),
});

builder.mutationFields((t) => ({
  updateTenant: t.field({
    type: Tenant,
    requiresScopes: [['tenant:update']],
    description: 'Renames a tenant, or changes what it may use. Needs tenant:update. NOT_FOUND, BAD_USER_INPUT, ALREADY_EXISTS when the name is taken.',
    args: { input: t.arg({ type: UpdateTenantInput, required: true, description: 'The changes.' }) },
    resolve: (_root, { input }, context) => context.accounts.updateTenant(context, input),
  }),
  createTenant: t.field({
    type: Tenant,
    requiresScopes: [['tenant:create']],
    description: 'Makes a tenant. Needs tenant:create. ALREADY_EXISTS when the name is taken.',
    args: { input: t.arg({ type: CreateTenantInput, required: true, description: 'The new tenant.' }) },
    resolve: (_root, { input }, context) => context.accounts.createTenant(context, input),
  }),
}));
