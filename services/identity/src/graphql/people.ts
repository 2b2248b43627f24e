import { requireViewer } from '@novacron/contracts';
import type { Asker } from '../accounts.ts';
import type { People } from '../people/people.ts';
import type { UserRecord } from '../visibility.ts';
import { builder, type IdentityContext } from './context.ts';
import { User } from './user.ts';

const UpdateUserInput = builder.inputType('UpdateUserInput', {
  description: 'What is to change of a user. What is left out stays.',
  fields: (t) => ({
    id: t.id({ required: true, description: 'The user.' }),
    name: t.string({ description: 'Its name: 1 to 100 printable characters.' }),
    username: t.string({ description: 'What it may sign in with in place of its address: 3 to 32 of a-z, 0-9, ., _ and -, beginning with a letter. Null takes it away.' }),
    email: t.string({ description: 'Its address. It is not verified, whoever sets it vouches for it; the old address is told.' }),
  }),
});

/** Of all that reaches an account. */
const NEEDED = (permission: string) =>
  `Needs ${permission} in every tenant of the user; platform administrators are left to their like. NOT_FOUND where it is not there for you, FORBIDDEN, INVALID_STATE`;

type Verb = 'deactivate' | 'reactivate' | 'forcePasswordReset' | 'endSessions' | 'delete';

async function changed(context: IdentityContext, change: (people: People, asker: Asker) => Promise<UserRecord>) {
  const user = await change(context.people, context);
  return { user, viewer: requireViewer(context.viewer) };
}

builder.mutationFields((t) => {
  const verb = (name: Verb, description: string) =>
    t.field({
      type: User,
      description,
      args: { id: t.arg.id({ required: true, description: "The user's id." }) },
      resolve: (_root, { id }, context) => changed(context, (people, asker) => people[name](asker, id)),
    });
  const verbOn = (name: Verb, description: string) =>
    t.field({
      type: User,
      description,
      args: { userId: t.arg.id({ required: true, description: "The user's id." }) },
      resolve: (_root, { userId }, context) => changed(context, (people, asker) => people[name](asker, userId)),
    });
  return {
    updateUser: t.field({
      type: User,
      description: `Changes what a user is called, and its address. ${NEEDED('user:update')} (who was only invited, or is a service account, has no address to change), BAD_USER_INPUT, ALREADY_EXISTS.`,
      args: { input: t.arg({ type: UpdateUserInput, required: true, description: 'The changes.' }) },
      resolve: (_root, { input }, context) => changed(context, (people, asker) => people.update(asker, input, context.address)),
    }),
    deactivateUser: verb(
      'deactivate',
      `Keeps a user out until it is reactivated: its sessions end, its API tokens are refused. ${NEEDED('user:deactivate')} (it is you, it is deactivated, or the last administrator of the platform).`,
    ),
    reactivateUser: verb('reactivate', `Lets a user in again. ${NEEDED('user:deactivate')} (it is not deactivated).`),
    deleteUser: verb(
      'delete',
      'Deletes a user for good: of the person nothing is kept but the id, which still resolves, and what the audit log said before; what it has made stays with the tenants. ' +
        'Needs user:delete. NOT_FOUND, FORBIDDEN, INVALID_STATE (it is you, or the last administrator of the platform).',
    ),
    forcePasswordReset: verbOn(
      'forcePasswordReset',
      "Ends a user's sessions and mails it a link for a new password, good for a day: its old one is good for nothing any more. Later it asks for a link itself (requestPasswordReset), and who reads no mail at " +
        `that address is given another one before (updateUser). Where no mail server is set up, or nobody has shown or vouched for the address, it still signs in, and can do nothing but changePassword. ${NEEDED('user:update')} (it is you, a service account, invited or deactivated).`,
    ),
    endSessions: verbOn('endSessions', `Signs a user out everywhere. ${NEEDED('session:revoke')}.`),
    removeRole: t.boolean({
      description:
        'Takes the role of a user in a tenant away: it is no member any more. Who was invited there and nowhere else is gone. True. Needs role:assign in the tenant; ' +
        'platform_admin is taken by platform administrators only, and the last one stays. NOT_FOUND for who is no member, FORBIDDEN, INVALID_STATE.',
      args: {
        userId: t.arg.id({ required: true, description: 'Whose role.' }),
        tenantId: t.arg.id({ required: true, description: 'Where.' }),
      },
      resolve: async (_root, args, context) => {
        await context.people.removeRole(context, args);
        return true;
      },
    }),
  };
});
