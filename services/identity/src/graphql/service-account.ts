import { requirePermission, requireSignedIn } from '@novacron/contracts';
import { builder } from './context.ts';
import { Tenant } from './tenant.ts';
import { User } from './user.ts';

const CreateServiceAccountInput = builder.inputType('CreateServiceAccountInput', {
  description: 'A new service account.',
  fields: (t) => ({
    name: t.string({ required: true, description: 'What it is for: 1 to 100 printable characters.' }),
    tenantId: t.id({ required: true, description: 'The tenant it becomes a member of.' }),
    role: t.string({ required: true, description: 'What it is there: the name of a role.' }),
  }),
});

builder.objectFields(User, (t) => ({
  isServiceAccount: t.boolean({ description: 'Is it for programs? Nobody signs in to it then.', resolve: ({ user }) => user.kind === 'service' }),
}));

builder.objectFields(Tenant, (t) => ({
  serviceAccounts: t.field({
    type: [User],
    listSize: { assumedSize: 5 },
    description: 'Its service accounts, the oldest first. Needs user:read in it, else FORBIDDEN.',
    resolve: async (tenant, _args, { viewer, loaders }) => {
      const reader = requirePermission(viewer, 'user:read', tenant.id);
      return (await loaders.serviceAccounts.load(tenant.id)).map((user) => ({ user, viewer: reader }));
    },
  }),
}));

builder.mutationFields((t) => ({
  createServiceAccount: t.field({
    type: User,
    description: 'Makes an account for programs, which nobody signs in to: it gets API tokens. Needs service_account:create in the tenant. NOT_FOUND, FORBIDDEN, BAD_USER_INPUT.',
    args: { input: t.arg({ type: CreateServiceAccountInput, required: true, description: 'The new account.' }) },
    resolve: async (_root, { input }, context) => ({ user: await context.serviceAccounts.create(context, input), viewer: requireSignedIn(context.viewer) }),
  }),
  deleteServiceAccount: t.boolean({
    description: 'Deletes a service account: its API tokens are refused from now on. Needs service_account:delete in all its tenants. True. NOT_FOUND, FORBIDDEN.',
    args: { id: t.arg.id({ required: true, description: "The account's id." }) },
    resolve: async (_root, { id }, context) => {
      await context.serviceAccounts.delete(context, id);
      return true;
    },
  }),
}));
