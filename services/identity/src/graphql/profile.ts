import { requireViewer } from '@novacron/contracts';
import { builder } from './context.ts';
import { User } from './user.ts';

const UpdateProfileInput = builder.inputType('UpdateProfileInput', {
  description: 'What is to change of your account. What is left out stays.',
  fields: (t) => ({
    name: t.string({ description: 'Your name: 1 to 100 printable characters.' }),
    username: t.string({ description: 'What you may sign in with in place of your address: 3 to 32 of a-z, 0-9, ., _ and -, beginning with a letter. Null takes it away.' }),
  }),
});

builder.mutationFields((t) => ({
  updateProfile: t.field({
    type: User,
    description: 'Changes what you are called. BAD_USER_INPUT, ALREADY_EXISTS when somebody has the user name.',
    args: { input: t.arg({ type: UpdateProfileInput, required: true, description: 'The changes.' }) },
    resolve: async (_root, { input }, context) => ({ user: await context.profile.update(context, input), viewer: requireViewer(context.viewer) }),
  }),
  requestEmailChange: t.boolean({
    cost: 10, // as login
    description:
      'Mails a link to a new address, good for a day: your account keeps the old one until you follow it. True, whether or not the address has an account, whose owner then is told. ' +
      'BAD_USER_INPUT (newEmail, password); RATE_LIMITED after too many wrong passwords, or five mails within a quarter of an hour; CONFLICT when the password was changed meanwhile.',
    args: {
      newEmail: t.arg.string({ required: true, description: 'The new address.' }),
      password: t.arg.string({ required: true, description: 'Your password.' }),
    },
    resolve: async (_root, args, context) => {
      await context.profile.requestEmailChange(context, args, context.address);
      return true;
    },
  }),
  confirmEmailChange: t.boolean({
    authenticated: false,
    description:
      'Gives your account its new address, which is verified by this; the old one is told, and your sessions end, all but the one that asks. True. BAD_USER_INPUT (token: unknown, used, replaced or expired), INVALID_STATE when the address has an account by now.',
    args: { token: t.arg.string({ required: true, description: 'Of the mail.' }) },
    resolve: async (_root, { token }, context) => {
      await context.profile.confirmEmailChange(context, token, context.address);
      return true;
    },
  }),
  deleteAccount: t.boolean({
    cost: 10, // as login
    description:
      'Deletes your own account for good: nothing of you is kept but the id and what the audit log said before; what you have made stays with the tenants. True. BAD_USER_INPUT (password); RATE_LIMITED after too many wrong ones; INVALID_STATE for the last administrator of the platform.',
    args: { password: t.arg.string({ required: true, description: 'Your password.' }) },
    resolve: async (_root, { password }, context) => {
      await context.profile.deleteAccount(context, password);
      return true;
    },
  }),
}));
