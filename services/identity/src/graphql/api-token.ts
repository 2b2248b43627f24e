import { SCOPES } from '../machines/scopes.ts';
import type { ApiTokenRecord } from '../store/api-tokens.ts';
import { requireSeesSessions, viewTenant, viewUser } from '../visibility.ts';
import { builder } from './context.ts';
import { Tenant } from './tenant.ts';
import { User } from './user.ts';

export const ApiToken = builder.objectRef<ApiTokenRecord>('ApiToken').implement({
  description: 'What a program proves itself with: it stands for its user, and may do of what that user may only what its scopes say.',
  fields: (t) => ({
    id: t.exposeID('id', { description: 'Its id.' }),
    name: t.exposeString('name', { description: 'What it is for.' }),
    prefix: t.exposeString('prefix', { description: 'How its secret begins: enough to tell which one it is.' }),
    scopes: t.exposeStringList('scopes', { description: 'What it was made for, such as "vm:start".' }),
    tenant: t.field({
      type: Tenant,
      nullable: true,
      description: 'The one tenant that it reaches; null for all of its user.',
      resolve: async ({ tenantId }, _args, { viewer, loaders }) => (tenantId === null ? null : viewTenant(await loaders.tenants.load(tenantId), viewer)),
    }),
    addresses: t.exposeStringList('addresses', { description: 'Networks from which it is taken; none: from everywhere.' }),
    createdAt: t.field({ type: 'DateTime', description: 'When it was made.', resolve: (token) => token.createdAt }),
    createdBy: t.field({
      type: User,
      nullable: true,
      description: 'Who made it; null where you may not see who that is.',
      resolve: async ({ createdBy }, _args, { viewer, loaders }) => viewUser(await loaders.users.load(createdBy), viewer),
    }),
    expiresAt: t.field({ type: 'DateTime', nullable: true, description: 'When it ends; null: not by itself.', resolve: (token) => token.expiresAt }),
    lastUsedAt: t.field({ type: 'DateTime', nullable: true, description: 'When it was last used, give or take a minute or two; null: never.', resolve: (token) => token.lastUsedAt }),
    lastUsedAddress: t.exposeString('lastUsedAddress', { nullable: true, description: 'From which address that was.' }),
  }),
});

builder.objectFields(User, (t) => ({
  apiTokens: t.field({
    type: [ApiToken],
    listSize: { assumedSize: 5 },
    description: 'Its API tokens that are not revoked, the newest first; their secrets are not kept. Guarded as its sessions are.',
    resolve: (view, _args, { loaders }) => {
      requireSeesSessions(view);
      return loaders.apiTokens.load(view.user.id);
    },
  }),
}));

builder.queryFields((t) => ({
  apiTokenScopes: t.stringList({
    description: 'What API tokens can be made for, such as "vm:start"; of these, nobody gives more than it may do itself.',
    resolve: () => [...SCOPES],
  }),
}));

const ApiTokenPayload = builder.objectRef<{ token: ApiTokenRecord; secret: string }>('ApiTokenPayload').implement({
  description: 'A new API token.',
  fields: (t) => ({
    token: t.field({ type: ApiToken, description: 'The token.', resolve: ({ token }) => token }),
    secret: t.exposeString('secret', { description: 'What the program sends: "Authorization: Bearer <secret>". It is shown this once.' }),
  }),
});

const CreateApiTokenInput = builder.inputType('CreateApiTokenInput', {
  description: 'A new API token.',
  fields: (t) => ({
    name: t.string({ required: true, description: 'What it is for: 1 to 100 printable characters.' }),
    scopes: t.stringList({ required: true, description: 'What it may do: permissions that you hold, such as "vm:start"; see apiTokenScopes.' }),
    expiresAt: t.field({ type: 'DateTime', description: 'When it ends; left out, it lives until it is revoked.' }),
    addresses: t.stringList({ description: 'Networks from which it is taken, such as "192.0.2.0/24" or "2001:db8::1", at most 50; left out: everywhere.' }),
    tenantId: t.id({ description: 'The one tenant that it reaches; left out: all of its user.' }),
    userId: t.id({ description: 'The service account that it is for; left out: you.' }),
    password: t.string({ description: 'Yours: needed where you signed in more than 10 minutes ago.' }),
  }),
});

builder.mutationFields((t) => ({
  createApiToken: t.field({
    type: ApiTokenPayload,
    description:
      'Makes an API token for you, or for a service account of a tenant where you hold service_account:create. You are told by mail. FORBIDDEN for scopes that ' +
      'you or the account do not hold, and to API tokens; NOT_FOUND (tenantId, userId), BAD_USER_INPUT (password: missing or wrong where you signed in more than 10 minutes ago), RATE_LIMITED ' +
      'after too many wrong ones, QUOTA_EXCEEDED at 100 tokens.',
    args: { input: t.arg({ type: CreateApiTokenInput, required: true, description: 'The new token.' }) },
    resolve: (_root, { input }, context) => context.apiTokens.create(context, input),
  }),
  revokeApiToken: t.boolean({
    description: 'Ends an API token at once: your own, or one of a user in all of whose tenants you hold api_token:revoke. True. NOT_FOUND, FORBIDDEN.',
    args: { id: t.arg.id({ required: true, description: "The token's id." }) },
    resolve: async (_root, { id }, context) => {
      await context.apiTokens.revoke(context, id);
      return true;
    },
  }),
}));
