import { requireViewer, ROLES } from '@novacron/contracts';
import { builder } from './context.ts';
import { AuthPayload, originOf } from './sign-in.ts';
import { User } from './user.ts';

const InviteUserInput = builder.inputType('InviteUserInput', {
  description: 'Whom to invite, to what.',
  fields: (t) => ({
    email: t.string({ required: true, description: 'Where the mail is sent.' }),
    name: t.string({ description: 'How it is called: 1 to 100 printable characters. It can choose another name; left out, it begins as its address does.' }),
    role: t.string({ required: true, description: `What it will be there: one of ${ROLES.join(', ')}.` }),
    tenantId: t.id({ required: true, description: 'The tenant it becomes a member of.' }),
  }),
});

builder.mutationFields((t) => ({
  inviteUser: t.field({
    type: User,
    description:
      'Mails an invitation to a tenant, good for 7 days. The answer is a user in the state INVITED, whether or not somebody has an account with the address: that account becomes the member when ' +
      'its owner accepts. Sent again, the mail before is good for nothing. Needs user:invite in the tenant; platform_admin is given by platform administrators only. ' +
      'NOT_FOUND (the tenant), FORBIDDEN, BAD_USER_INPUT, ALREADY_EXISTS (a member has the address), INVALID_STATE (who was invited is deactivated), RATE_LIMITED after five to one address within a quarter of an hour.',
    args: { input: t.arg({ type: InviteUserInput, required: true, description: 'The invitation.' }) },
    resolve: async (_root, { input }, context) => ({ user: await context.invitations.invite(context, input), viewer: requireViewer(context.viewer) }),
  }),
  acceptInvitation: t.field({
    type: AuthPayload,
    authenticated: false,
    cost: 10, // as login
    description:
      'Accepts an invitation with a new account, and signs in to it. BAD_USER_INPUT (token: unknown, used, replaced or expired; password, name); INVALID_STATE where the address has an account: ' +
      'sign in to it and call joinTenant, or where the invitation was taken back.',
    args: {
      token: t.arg.string({ required: true, description: 'Of the mail.' }),
      password: t.arg.string({ required: true, description: 'Your password: 8 to 256 characters, none of the common ones.' }),
      name: t.arg.string({ description: 'Your name, where it is another one than you were invited by.' }),
    },
    resolve: (_root, args, context) => context.invitations.accept(args, originOf(context), context.requestId),
  }),
  joinTenant: t.field({
    type: User,
    description:
      'Accepts an invitation with the account that you have: you become a member with the role that you were invited to. BAD_USER_INPUT (token: unknown, used, replaced or expired); FORBIDDEN when it was ' +
      'sent to another address; INVALID_STATE where the invitation was taken back.',
    args: { token: t.arg.string({ required: true, description: 'Of the mail.' }) },
    resolve: async (_root, { token }, context) => ({ user: await context.invitations.join(context, token), viewer: requireViewer(context.viewer) }),
  }),
}));
