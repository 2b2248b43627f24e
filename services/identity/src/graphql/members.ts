import { can } from '@novacron/contracts';
import { pageArguments } from '@novacron/graphql';
import { listUsers } from '../directory.ts';
import { builder } from './context.ts';
import { Tenant } from './tenant.ts';
import { UserConnection } from './user.ts';

builder.objectFields(Tenant, (t) => ({
  members: t.field({
    type: UserConnection,
    nullable: true,
    description: 'Who is in it, the oldest first. Needs user:read in it, else null.',
    args: pageArguments(t.arg),
    resolve: ({ id }, args, { db, viewer }) => (can(viewer, 'user:read', id) ? listUsers(db, viewer, { ...args, filter: { tenantId: id } }) : null),
  }),
}));
