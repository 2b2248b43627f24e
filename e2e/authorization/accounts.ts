import { ANYONE, EVERYONE, row, type Cases } from './cases.ts';

const PASSWORD = 'a password for tests';
/** Whoever has signed in is asked for its password. */
const WRONG = row('BAD_USER_INPUT', 'BAD_USER_INPUT', 'BAD_USER_INPUT', 'BAD_USER_INPUT', 'BAD_USER_INPUT');

export const accounts: Cases = {
  roots: {
    'Mutation.register': {
      document: 'mutation ($input: RegisterInput!) { register(input: $input) { accessToken } }',
      variables: ({ unique }) => ({ input: { email: `${unique}@novacron.test`, name: unique, password: PASSWORD } }),
      expect: ANYONE,
    },
    'Mutation.verifyEmail': {
      document: 'mutation ($token: String!) { verifyEmail(token: $token) }',
      variables: ({ mailToken }) => ({ token: mailToken }),
      prepare: async (fixtures) => ({ mailToken: await fixtures.mailToken('verify_email') }),
      expect: ANYONE,
    },
    'Mutation.requestEmailVerification': { document: 'mutation { requestEmailVerification }', expect: EVERYONE },
    'Mutation.requestPasswordReset': {
      document: 'mutation ($email: String!) { requestPasswordReset(email: $email) }',
      variables: ({ unique }) => ({ email: `${unique}@novacron.test` }),
      expect: ANYONE,
    },
    'Mutation.resetPassword': {
      document: 'mutation ($token: String!, $newPassword: String!) { resetPassword(token: $token, newPassword: $newPassword) { accessToken } }',
      variables: ({ mailToken }) => ({ token: mailToken, newPassword: PASSWORD }),
      prepare: async (fixtures) => ({ mailToken: await fixtures.mailToken('reset_password') }),
      expect: ANYONE,
    },
    'Mutation.changePassword': {
      document: 'mutation ($current: String!, $next: String!) { changePassword(currentPassword: $current, newPassword: $next) }',
      variables: () => ({ current: 'not the password', next: 'quite another password' }),
      expect: WRONG,
    },
  },
  entities: {},
  fields: {},
};
