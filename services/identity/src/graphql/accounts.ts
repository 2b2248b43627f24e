import { AuthPayload, originOf } from './sign-in.ts';
import { builder } from './context.ts';

const RegisterInput = builder.inputType('RegisterInput', {
  description: 'An account for yourself.',
  fields: (t) => ({
    email: t.string({ required: true, description: 'Your address: you sign in with it, and are sent a mail that shows it to be yours.' }),
    password: t.string({ required: true, description: 'Its password: 8 to 256 characters, none of the common ones.' }),
    name: t.string({ required: true, description: 'Your name: 1 to 100 printable characters.' }),
  }),
});

builder.mutationFields((t) => ({
  register: t.field({
    type: AuthPayload,
    authenticated: false,
    cost: 10, // as login
    description:
      'Makes an account for yourself and signs in to it. You are in no tenant until an administrator takes you in. Whether the address has an account already is told to its ' +
      'owner only, by mail; an account that nobody verifies or takes in is removed after 7 days. FORBIDDEN where registration is closed.',
    args: { input: t.arg({ type: RegisterInput, required: true, description: 'Who you are.' }) },
    resolve: (_root, { input }, context) => context.registration.register(input, originOf(context), context.requestId),
  }),
  verifyEmail: t.boolean({
    authenticated: false,
    description:
      'Shows that you read mail at the address of your account, by the token of a mail that was sent there. Unless you are signed in to it, its ' +
      'second factor, SSH keys, API tokens and user name are removed: somebody else may have put them there. True. BAD_USER_INPUT when the token is unknown, used, replaced or expired; ' +
      'INVALID_STATE when another account has the address by now.',
    args: { token: t.arg.string({ required: true, description: 'Of the mail.' }) },
    resolve: async (_root, { token }, context) => {
      await context.verification.verify(context, token);
      return true;
    },
  }),
  requestEmailVerification: t.boolean({
    description: 'Sends you another mail to verify your address, in place of the one before. True. INVALID_STATE when it is verified; RATE_LIMITED after five within a quarter of an hour.',
    resolve: async (_root, _args, context) => {
      await context.verification.request(context);
      return true;
    },
  }),
  requestPasswordReset: t.boolean({
    authenticated: false,
    description: 'Sends a mail by which the password can be reset, within an hour. True, whether or not the address has an account.',
    args: { email: t.arg.string({ required: true, description: "The account's address; its case does not matter." }) },
    resolve: async (_root, { email }, context) => {
      await context.recovery.request(email, context.requestId);
      return true;
    },
  }),
  resetPassword: t.field({
    type: AuthPayload,
    authenticated: false,
    cost: 10, // as login
    description:
      'Chooses a new password by the token of a mail, ends all sessions and API tokens of the account and signs in to it; an account with a second factor still owes its code to login. ' +
      'If its address was not verified before, the second factor, SSH keys and user name that somebody has put into it are removed. ' +
      'BAD_USER_INPUT when the token is unknown, used, replaced or expired, or the password is too short or a common one.',
    args: {
      token: t.arg.string({ required: true, description: 'Of the mail.' }),
      newPassword: t.arg.string({ required: true, description: '8 to 256 characters, none of the common ones.' }),
    },
    resolve: (_root, args, context) => context.recovery.reset(args, originOf(context), context.requestId),
  }),
  changePassword: t.boolean({
    cost: 10, // as login
    description:
      'Changes your own password, and ends your other sessions. True. BAD_USER_INPUT when the current one is wrong, or the new one is too short, a common one or the same; ' +
      'CONFLICT when it was changed meanwhile.',
    args: {
      currentPassword: t.arg.string({ required: true, description: 'The one that you have.' }),
      newPassword: t.arg.string({ required: true, description: '8 to 256 characters, none of the common ones.' }),
    },
    resolve: async (_root, args, context) => {
      await context.passwordChange.change(context, args, originOf(context));
      return true;
    },
  }),
}));
