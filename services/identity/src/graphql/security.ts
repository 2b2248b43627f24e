import { connectionType, pageArguments } from '@novacron/graphql';
import type { FailedLoginRecord, LockedAccountRecord, RoleChangeRecord, SecurityScope, SigningKeyRecord } from '../security/overview.ts';
import type { ApiTokenRecord } from '../store/api-tokens.ts';
import { viewTenant, viewUser, seesSessions, type UserView } from '../visibility.ts';
import { ApiToken } from './api-token.ts';
import { builder, type IdentityContext } from './context.ts';
import { Tenant } from './tenant.ts';
import { User, UserConnection } from './user.ts';

const userOf = async (userId: string | null, { loaders, viewer }: IdentityContext): Promise<UserView | null> =>
  userId === null ? null : viewUser(await loaders.users.load(userId), viewer);

/** From where somebody signs in is shown as its sessions are. */
async function ifSeesSessions<Value>(userId: string | null, context: IdentityContext, value: Value): Promise<Value | null> {
  const view = await userOf(userId, context);
  return view === null || seesSessions(view) ? value : null;
}

const FailedLogin = builder.objectRef<FailedLoginRecord>('FailedLogin').implement({
  description: 'That somebody could not sign in.',
  fields: (t) => ({
    id: t.exposeID('id', { description: 'Its id.' }),
    user: t.field({
      type: User,
      nullable: true,
      description: 'Whose account was named; null where nobody has it.',
      resolve: ({ userId }, _args, context) => userOf(userId, context),
    }),
    outcome: t.exposeString('outcome', { description: 'wrong_password, wrong_code, locked (not looked at after too many), deactivated or token_reused.' }),
    knownDevice: t.boolean({ description: 'Did it come from a device that the account knows?', resolve: ({ known }) => known }),
    address: t.string({
      nullable: true,
      description: 'The address that it came from; null to who may not read the sessions of the user.',
      resolve: ({ userId, address }, _args, context) => ifSeesSessions(userId, context, address),
    }),
    device: t.string({
      nullable: true,
      description: "The client's User-Agent; null to who may not read the sessions of the user.",
      resolve: ({ userId, device }, _args, context) => ifSeesSessions(userId, context, device),
    }),
    at: t.field({ type: 'DateTime', description: 'When.', resolve: ({ at }) => at }),
  }),
});

const LockedAccount = builder.objectRef<LockedAccountRecord>('LockedAccount').implement({
  description: 'An account at which sign-ins are refused unread, since too many before have failed. Its owner signs in at known devices all the same.',
  fields: (t) => ({
    user: t.field({ type: User, nullable: true, description: 'Whose it is; null where you may not see that any more.', resolve: ({ userId }, _args, context) => userOf(userId, context) }),
    refused: t.exposeInt('refused', { description: 'How many were refused in the last hour.' }),
    lastAt: t.field({ type: 'DateTime', description: 'When the last of them was.', resolve: ({ lastAt }) => lastAt }),
  }),
});

const ExpiringToken = builder.objectRef<ApiTokenRecord>('ExpiringToken').implement({
  description: 'An API token whose time is nearly over.',
  fields: (t) => ({
    token: t.field({ type: ApiToken, description: 'The token.', resolve: (token) => token }),
    user: t.field({ type: User, nullable: true, description: 'For whom it stands.', resolve: ({ userId }, _args, context) => userOf(userId, context) }),
  }),
});

const RoleChange = builder.objectRef<RoleChangeRecord>('RoleChange').implement({
  description: 'That somebody was given a role in a tenant, or lost it.',
  fields: (t) => ({
    id: t.exposeID('id', { description: 'Its id.' }),
    userId: t.exposeID('userId', { description: 'Whose role it is.' }),
    user: t.field({ type: User, nullable: true, description: 'The same; null for who is gone, or in none of your tenants any more.', resolve: ({ userId }, _args, context) => userOf(userId, context) }),
    tenant: t.field({
      type: Tenant,
      nullable: true,
      description: 'Where; null where you may not see that.',
      resolve: async ({ tenantId }, _args, { loaders, viewer }) => viewTenant(await loaders.tenants.load(tenantId), viewer),
    }),
    before: t.exposeString('before', { nullable: true, description: 'The role before; null for none.' }),
    after: t.exposeString('after', { nullable: true, description: 'The role from then on; null for none.' }),
    changedAt: t.field({ type: 'DateTime', description: 'When.', resolve: ({ at }) => at }),
    changedBy: t.field({ type: User, nullable: true, description: 'Who did it; null where nobody did, or you may not see who.', resolve: ({ by }, _args, context) => userOf(by, context) }),
  }),
});

const SigningKey = builder.objectRef<SigningKeyRecord>('SigningKey').implement({
  description: 'A key that signs access tokens, or did.',
  fields: (t) => ({
    id: t.exposeID('kid', { description: 'Its id, as in the tokens and the JWKS.' }),
    algorithm: t.exposeString('algorithm', { description: 'EdDSA or RS256.' }),
    createdAt: t.field({ type: 'DateTime', description: 'When it was made. It is replaced after 30 days.', resolve: ({ createdAt }) => createdAt }),
    retiredAt: t.field({ type: 'DateTime', nullable: true, description: 'When another one takes, or took, its place; null while none does.', resolve: ({ retiredAt }) => retiredAt }),
  }),
});

const FailedLoginConnection = connectionType(builder, 'FailedLogin', FailedLogin);
const RoleChangeConnection = connectionType(builder, 'RoleChange', RoleChange);

const EXPIRING = { days: 30, first: 50 } as const;

const Security = builder.objectRef<SecurityScope>('Security').implement({
  description: 'What who looks after security looks at, of the tenants where it may: all of them for the platform.',
  fields: (t) => ({
    failedLogins: t.field({
      type: FailedLoginConnection,
      description: 'Sign-ins that failed in the last 30 days, the newest first. Those at accounts that nobody has are shown to the platform alone.',
      args: pageArguments(t.arg),
      resolve: (scope, args, { security }) => security.failedLogins(scope, args),
    }),
    lockedAccounts: t.field({
      type: [LockedAccount],
      listSize: { assumedSize: 100 },
      description: 'Accounts at which sign-ins were refused unread in the last hour, the most often refused first; 100 at most.',
      resolve: (scope, _args, { security }) => security.lockedAccounts(scope),
    }),
    usersWithoutSecondFactor: t.field({
      type: UserConnection,
      description: 'People who can sign in with their password alone, the oldest first.',
      args: pageArguments(t.arg),
      resolve: (scope, args, { security }) => security.usersWithoutSecondFactor(scope, args),
    }),
    expiringTokens: t.field({
      type: [ExpiringToken],
      listSize: { assumedSize: EXPIRING.first, slicingArguments: ['first'], requireOneSlicingArgument: false },
      description: 'API tokens that end soon, the next one first; of users in other tenants, too, only to who reads all of those. BAD_USER_INPUT (withinDays, first).',
      args: {
        withinDays: t.arg.int({ description: `How soon: within so many days, ${EXPIRING.days} unless told.` }),
        first: t.arg.int({ description: `How many: ${EXPIRING.first} unless told, 500 at most.` }),
      },
      resolve: (scope, { withinDays, first }, { security }) => security.expiringTokens(scope, withinDays ?? EXPIRING.days, first ?? EXPIRING.first),
    }),
    roleChanges: t.field({
      type: RoleChangeConnection,
      description: 'Who was given or lost which role, the newest first.',
      args: pageArguments(t.arg),
      resolve: (scope, args, { security }) => security.roleChanges(scope, args),
    }),
    signingKeys: t.field({
      type: [SigningKey],
      nullable: true,
      listSize: { assumedSize: 3 },
      description: 'The keys of access tokens, the newest first; null to who does not look after the platform, and of one tenant.',
      resolve: (scope, _args, { security }) => security.signingKeys(scope),
    }),
  }),
});

builder.queryField('security', (t) =>
  t.field({
    type: Security,
    requiresScopes: [['security:read']],
    description: 'Security at a glance, of all tenants where you hold security:read. FORBIDDEN where there is none, NOT_FOUND for a tenant that is not yours.',
    args: { tenantId: t.arg.id({ description: 'Of this tenant alone.' }) },
    resolve: (_root, { tenantId }, { security, viewer }) => security.scope(viewer, tenantId),
  }),
);
