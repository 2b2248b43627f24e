import { connectionType, forwardArguments } from '@novacron/graphql';
import { requireViewer } from '@novacron/contracts';
import type { Resources, TenantQuota } from '@novacron/operations';
import { listTenants } from '../directory.ts';
import { viewTenant, type TenantRecord } from '../visibility.ts';
import { builder } from './context.ts';

const Quota = builder.objectRef<TenantQuota['limits']>('Quota').implement({
  description: 'What a tenant may use at most. Null is without limit.',
  fields: (t) => ({
    vms: t.exposeInt('vms', { nullable: true, description: 'How many VMs it may have, running or not.' }),
    vcpus: t.exposeInt('vcpus', { nullable: true, description: 'How many virtual CPUs all its VMs may have together.' }),
    memory: t.field({ type: 'ByteSize', nullable: true, description: 'How much memory all its VMs may have together.', resolve: (quota) => quota.memory }),
  }),
});

const QuotaUsage = builder.objectRef<Resources>('QuotaUsage').implement({
  description: 'What a tenant uses of its quota now.',
  fields: (t) => ({
    vms: t.exposeInt('vms', { description: 'How many VMs it has, running or not.' }),
    vcpus: t.exposeInt('vcpus', { description: 'How many virtual CPUs all its VMs have together.' }),
    memory: t.field({ type: 'ByteSize', description: 'How much memory all its VMs have together.', resolve: (usage) => usage.memory }),
  }),
});

export const Tenant = builder.objectRef<TenantRecord>('Tenant').implement({
  description: 'A customer, department or project: everything that is not the platform itself belongs to one.',
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
    createdAt: t.field({ type: 'DateTime', description: 'When it was made.', resolve: (tenant) => tenant.createdAt }),
  }),
});

builder.asEntity(Tenant, {
  key: builder.selection<{ id: string }>('id'),
  resolveReference: async ({ id }, { viewer, loaders }) => viewTenant(await loaders.tenants.load(id), viewer),
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

const QuotaInput = builder.inputType('QuotaInput', {
  description: 'What a tenant may use at most. What is left out has no limit.',
  fields: (t) => ({
    vms: t.int({ description: 'How many VMs it may have, running or not.' }),
    vcpus: t.int({ description: 'How many virtual CPUs all its VMs may have together.' }),
    memory: t.field({ type: 'ByteSize', description: 'How much memory all its VMs may have together.' }),
  }),
});

const CreateTenantInput = builder.inputType('CreateTenantInput', {
  description: 'A new tenant.',
  fields: (t) => ({
    name: t.string({ required: true, description: 'Its name: 1 to 63 of a-z, 0-9 and -, like no other tenant.' }),
    quota: t.field({ type: QuotaInput, description: 'What it may use at most; without it there is no limit.' }),
  }),
});

builder.mutationFields((t) => ({
  createTenant: t.field({
    type: Tenant,
    requiresScopes: [['tenant:create']],
    description: 'Makes a tenant. Needs tenant:create. ALREADY_EXISTS when the name is taken.',
    args: { input: t.arg({ type: CreateTenantInput, required: true, description: 'The new tenant.' }) },
    resolve: (_root, { input }, context) => context.accounts.createTenant(context, input),
  }),
}));
