import { EVERYONE, TENANT_ADMINS, type Cases } from './cases.ts';

export const sessions: Cases = {
  roots: {
    'Mutation.revokeSession': {
      document: 'mutation ($id: ID!) { revokeSession(id: $id) }',
      variables: ({ sessionId }) => ({ id: sessionId }),
      prepare: async (fixtures) => ({ sessionId: await fixtures.session() }),
      expect: TENANT_ADMINS,
    },
    // asked in the session that the other cases use: the one that lives on
    'Mutation.revokeOtherSessions': { document: 'mutation { revokeOtherSessions }', expect: EVERYONE },
  },
  entities: {},
  fields: {},
};
