import { connectionType, pageArguments } from '@novacron/graphql';
import { requireViewer, ROLES, type RoleAssignment as HeldRole } from '@novacron/contracts';
import { DomainError } from '@novacron/core';
import { listUsers } from '../directory.ts';
import type { SessionRecord } from '../loaders.ts';
import { stateOf, type UserState as UserStateName } from '../people/rules.ts';
import { permissionsIn, requireSeesSessions, rolesOf, viewUser, type UserView } from '../visibility.ts';
import { builder } from './context.ts';
import { Tenant } from './tenant.ts';

const ROLE_NAMES = ROLES.join(', ');

const RoleAssignment = builder.objectRef<HeldRole>('RoleAssignment').implement({
  description: 'What a user is in a tenant.',
  fields: (t) => ({
    role: t.exposeString('role', { description: `One of ${ROLE_NAMES}.` }),
    tenant: t.field({
      type: Tenant,
      description: 'Where. A platform_admin reaches every tenant all the same.',
      resolve: async ({ tenantId }, _args, { loaders }) => {
        const tenant = await loaders.tenants.load(tenantId);
        if (tenant === null) throw new DomainError('INTERNAL', 'A role is held in a tenant that does not exist.');
        return tenant;
      },
    }),
  }),
});

const Session = builder.objectRef<{ session: SessionRecord; current: boolean }>('Session').implement({
  description: 'A sign-in that has not ended.',
  fields: (t) => ({
    id: t.id({ description: 'Its id.', resolve: ({ session }) => session.id }),
    createdAt: t.field({ type: 'DateTime', description: 'When the user signed in.', resolve: ({ session }) => session.createdAt }),
    lastUsedAt: t.field({ type: 'DateTime', description: 'When one of its tokens was last used.', resolve: ({ session }) => session.lastUsedAt }),
    address: t.string({ nullable: true, description: 'The address from which it was last renewed.', resolve: ({ session }) => session.address }),
    device: t.string({
      nullable: true,
      description: "The client's User-Agent when it was last renewed.",
      resolve: ({ session }) => session.device,
    }),
    current: t.exposeBoolean('current', { description: 'Is it the one that asks?' }),
  }),
});

const UserState = builder.enumType('UserState', {
  description: 'Whether a user may sign in.',
  values: {
    ACTIVE: { description: 'It may.' },
    INVITED: { description: 'It was sent an invitation, and has not accepted it.' },
    DEACTIVATED: { description: 'An administrator keeps it out.' },
    DELETED: { description: 'Nothing is left of it but its id, which others name.' },
  } satisfies Record<UserStateName, object>,
});

export const User = builder.objectRef<UserView>('User').implement({
  description: 'A person or program that can sign in. Members of a tenant see one another.',
  fields: (t) => ({
    id: t.id({ description: 'Its id.', resolve: ({ user }) => user.id }),
    email: t.string({ description: 'The address it signs in with, in lower case.', resolve: ({ user }) => user.email }),
    name: t.string({ description: 'Its name.', resolve: ({ user }) => user.name }),
    username: t.string({ nullable: true, description: 'What it may sign in with in place of its address; null for who has none.', resolve: ({ user }) => user.username }),
    state: t.field({ type: UserState, description: 'May it sign in?', resolve: ({ user }) => stateOf(user) }),
    emailVerified: t.boolean({ description: 'Has it shown that it reads mail at this address?', resolve: ({ user }) => user.emailVerified }),
    roles: t.field({
      type: [RoleAssignment],
      listSize: { assumedSize: 2 },
      description: 'What it is in which tenant: everything to itself; to others what they may read with user:read, else FORBIDDEN.',
      resolve: rolesOf,
    }),
    permissions: t.stringList({
      description: 'What those roles allow it to do now, such as "vm:start". Guarded as they are.',
      resolve: permissionsIn,
    }),
    sessions: t.field({
      type: [Session],
      listSize: { assumedSize: 5 },
      description: 'Where it is signed in, the newest first. For itself and who holds user:read in all its tenants, else FORBIDDEN.',
      resolve: async (view, _args, { loaders }) => {
        requireSeesSessions(view);
        const sessions = await loaders.sessions.load(view.user.id);
        return sessions.map((session) => ({ session, current: session.id === view.viewer.sessionId }));
      },
    }),
    createdAt: t.field({ type: 'DateTime', description: 'When the account was made.', resolve: ({ user }) => user.createdAt }),
  }),
});

builder.asEntity(User, {
  key: builder.selection<{ id: string }>('id'),
  resolveReference: async ({ id }, { viewer, loaders }) => viewUser(await loaders.users.load(id), viewer),
});

export const UserConnection = connectionType(builder, 'User', User);

const UserFilter = builder.inputType('UserFilter', {
  description: 'Which users: all that is given must match.',
  fields: (t) => ({
    search: t.string({ description: 'With this text in the name, the user name or the e-mail address, whatever its case.' }),
    tenantId: t.id({ description: 'Members of this tenant.' }),
    role: t.string({ description: `Who holds this role, in the tenant or in any: one of ${ROLE_NAMES}.` }),
    state: t.field({ type: UserState, description: 'Who is in this state. Who is deleted is found by that only, and by platform administrators only.' }),
    emailVerified: t.boolean({ description: 'Who has shown that it reads mail at its address, or who has not.' }),
  }),
});

builder.queryFields((t) => ({
  me: t.field({
    type: User,
    description: 'Who you are.',
    resolve: async (_root, _args, { viewer, loaders }) => {
      const { userId } = requireViewer(viewer);
      const view = viewUser(await loaders.users.load(userId), viewer);
      if (view === null) throw new DomainError('UNAUTHENTICATED', 'This account is gone: sign in again.');
      return view;
    },
  }),
  user: t.field({
    type: User,
    nullable: true,
    description: 'The user with this id; null where there is none, or none that shares a tenant with you.',
    args: { id: t.arg.id({ required: true, description: "The user's id." }) },
    resolve: async (_root, { id }, { viewer, loaders }) => viewUser(await loaders.users.load(id), requireViewer(viewer)),
  }),
  users: t.field({
    type: UserConnection,
    description: 'Yourself and the users of the tenants where you hold user:read. The oldest first.',
    args: { ...pageArguments(t.arg), filter: t.arg({ type: UserFilter, description: 'Which of them.' }) },
    resolve: (_root, args, { db, viewer }) => listUsers(db, viewer, args),
  }),
}));

const CreateUserInput = builder.inputType('CreateUserInput', {
  description: 'A new user with its first role.',
  fields: (t) => ({
    email: t.string({ required: true, description: 'The address it signs in with; its case does not matter.' }),
    name: t.string({ required: true, description: 'Its name: 1 to 100 printable characters.' }),
    password: t.string({ required: true, description: 'Its password: 8 to 256 characters.' }),
    tenantId: t.id({ required: true, description: 'The tenant it becomes a member of.' }),
    role: t.string({ required: true, description: `What it is there: one of ${ROLE_NAMES}.` }),
  }),
});

builder.mutationFields((t) => ({
  createUser: t.field({
    type: User,
    cost: 10, // as login
    description: 'Makes a user. Needs user:create in the tenant. ALREADY_EXISTS when the address is taken.',
    args: { input: t.arg({ type: CreateUserInput, required: true, description: 'The new user.' }) },
    resolve: async (_root, { input }, context) => {
      const user = await context.accounts.createUser(context, input);
      return { user, viewer: requireViewer(context.viewer) };
    },
  }),
  assignRole: t.field({
    type: User,
    description:
      'Gives a user a role in a tenant, in place of the one it had there. Needs role:assign in the tenant; platform_admin is given and ' +
      'taken by platform administrators only, and the last one stays (INVALID_STATE).',
    args: {
      userId: t.arg.id({ required: true, description: 'Who gets the role.' }),
      role: t.arg.string({ required: true, description: `One of ${ROLE_NAMES}; "admin" is tenant_admin.` }),
      tenantId: t.arg.id({ required: true, description: 'Where.' }),
    },
    resolve: async (_root, args, context) => {
      const user = await context.accounts.assignRole(context, args);
      return { user, viewer: requireViewer(context.viewer) };
    },
  }),
}));
