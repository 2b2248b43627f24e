import type { Owed, SignedIn } from '../admission.ts';
import { builder, type IdentityContext } from './context.ts';
import { User } from './user.ts';

const signedIn = (payload: SignedIn | Owed): SignedIn | null => ('owed' in payload ? null : payload);

export const AuthPayload = builder.objectRef<SignedIn | Owed>('AuthPayload').implement({
  description: 'What proves who you are: send "Authorization: Bearer <accessToken>".',
  fields: (t) => ({
    accessToken: t.string({
      nullable: true,
      description: 'Sent with every request; null while a second factor is owed, or where the address must be verified first.',
      resolve: (payload) => signedIn(payload)?.accessToken ?? null,
    }),
    refreshToken: t.string({
      nullable: true,
      description: 'Good for one refreshSession. Keep it secret: whoever uses it a second time ends the session.',
      resolve: (payload) => signedIn(payload)?.refreshToken ?? null,
    }),
    expiresAt: t.field({
      type: 'DateTime',
      nullable: true,
      description: 'When the access token ends: refresh the session before.',
      resolve: (payload) => signedIn(payload)?.expiresAt ?? null,
    }),
    secondFactorRequired: t.boolean({ description: 'True when a code is still owed: send login again with it.', resolve: (payload) => 'owed' in payload && payload.owed === 'second_factor' }),
    user: t.field({ type: User, nullable: true, description: 'Who has signed in.', resolve: (payload) => signedIn(payload)?.view ?? null }),
  }),
});

const LoginInput = builder.inputType('LoginInput', {
  description: 'What proves who you are.',
  fields: (t) => ({
    email: t.string({ required: true, description: "The account's address, or its user name; their case does not matter." }),
    password: t.string({ required: true, description: "The account's password." }),
    code: t.string({ description: 'A code of the second factor. Not looked at for an account that has none.' }),
  }),
});

export const originOf = ({ address, userAgent }: IdentityContext) => ({ address, device: userAgent });

builder.mutationFields((t) => ({
  login: t.field({
    type: AuthPayload,
    authenticated: false,
    cost: 10, // a password is hashed, which takes as long as it does to make guessing slow
    description:
      'Signs in with a password. UNAUTHENTICATED, in the same words whatever was wrong; FORBIDDEN where addresses must be verified first; RATE_LIMITED after five failures in a row, longer with each, ' +
      'except from devices that the account was signed in to before, which are counted by themselves; and while so many sign in that it would take more than 2 s.',
    args: { input: t.arg({ type: LoginInput, required: true, description: 'What proves who you are.' }) },
    resolve: (_root, { input }, context) => context.signIn.login(input, originOf(context), context.requestId),
  }),
  refreshSession: t.field({
    type: AuthPayload,
    authenticated: false,
    description: 'Spends a refresh token for new tokens. A token that comes a second time ends its session. UNAUTHENTICATED when it is no good.',
    args: { refreshToken: t.arg.string({ required: true, description: 'The refresh token that was given last.' }) },
    resolve: (_root, { refreshToken }, context) => context.signIn.refresh(refreshToken, originOf(context), context.requestId),
  }),
  logout: t.boolean({
    description: 'Ends the session that asks: its tokens are refused from now on. True.',
    resolve: async (_root, _args, context) => {
      await context.signIn.logout(context);
      return true;
    },
  }),
}));
