import { byScope, EVERYONE, PLATFORM_ADMINS, row, TENANT_ADMINS, type Cases, type RootCase } from './cases.ts';

/** Whoever has signed in is asked for its password, or for a token that was mailed. */
const WRONG = row('BAD_USER_INPUT', 'BAD_USER_INPUT', 'BAD_USER_INPUT', 'BAD_USER_INPUT', 'BAD_USER_INPUT');
const NO_TOKEN = 'no token of ours';

/** A verb on a user whom nobody else needs. */
const onUser = (verb: string, argument: 'id' | 'userId', more: Partial<RootCase> = {}): Record<string, RootCase> => ({
  [`Mutation.${verb}`]: {
    document: `mutation ($id: ID!) { ${verb}(${argument}: $id) { id } }`,
    variables: ({ userId }) => ({ id: userId }),
    prepare: async (fixtures) => ({ userId: await fixtures.member() }),
    expect: TENANT_ADMINS,
    ...more,
  },
});

export const people: Cases = {
  roots: {
    ...onUser('deactivateUser', 'id'),
    ...onUser('reactivateUser', 'id', { prepare: async (fixtures) => ({ userId: await fixtures.deactivatedMember() }) }),
    ...onUser('deleteUser', 'id', { expect: row('ok', 'FORBIDDEN', 'FORBIDDEN', 'FORBIDDEN', 'NOT_FOUND') }),
    ...onUser('forcePasswordReset', 'userId'),
    ...onUser('endSessions', 'userId'),
    'Mutation.updateUser': {
      document: 'mutation ($id: ID!, $name: String!) { updateUser(input: { id: $id, name: $name }) { id } }',
      variables: ({ userId, unique }) => ({ id: userId, name: unique }),
      prepare: async (fixtures) => ({ userId: await fixtures.member() }),
      expect: TENANT_ADMINS,
    },
    'Mutation.removeRole': {
      document: 'mutation ($userId: ID!, $tenantId: ID!) { removeRole(userId: $userId, tenantId: $tenantId) }',
      variables: ({ userId, tenantId }) => ({ userId, tenantId }),
      prepare: async (fixtures) => ({ userId: await fixtures.member() }),
      expect: TENANT_ADMINS,
    },
    'Mutation.inviteUser': {
      document: 'mutation ($input: InviteUserInput!) { inviteUser(input: $input) { id } }',
      variables: ({ tenantId, unique }) => ({ input: { email: `${unique}@novacron.test`, tenantId, role: 'viewer' } }),
      expect: TENANT_ADMINS,
    },
    'Mutation.acceptInvitation': {
      document: `mutation { acceptInvitation(token: "${NO_TOKEN}", password: "long enough to do") { accessToken } }`,
      expect: { ...WRONG, anonymous: 'BAD_USER_INPUT' },
    },
    'Mutation.joinTenant': { document: `mutation { joinTenant(token: "${NO_TOKEN}") { id } }`, expect: WRONG },
    'Mutation.updateProfile': { document: 'mutation { updateProfile(input: {}) { id } }', expect: EVERYONE },
    'Mutation.requestEmailChange': {
      document: 'mutation ($email: String!) { requestEmailChange(newEmail: $email, password: "not the password") }',
      variables: ({ unique }) => ({ email: `${unique}@novacron.test` }),
      expect: WRONG,
    },
    'Mutation.confirmEmailChange': { document: `mutation { confirmEmailChange(token: "${NO_TOKEN}") }`, expect: { ...WRONG, anonymous: 'BAD_USER_INPUT' } },
    'Mutation.deleteAccount': { document: 'mutation { deleteAccount(password: "not the password") }', expect: WRONG },
    'Mutation.updateTenant': {
      document: 'mutation ($id: ID!) { updateTenant(input: { id: $id, quota: { vms: null } }) { id } }',
      variables: ({ tenantId }) => ({ id: tenantId }),
      expect: byScope(PLATFORM_ADMINS),
    },
  },
  entities: {},
  fields: {
    'Tenant.members': {
      document: 'query ($id: ID!) { tenant(id: $id) { field: members { totalCount } } }',
      variables: ({ tenantId }) => ({ id: tenantId }),
      expect: { platformAdmin: 'ok', tenantAdmin: 'ok', operator: 'null', viewer: 'null', auditor: 'ok', stranger: 'null' },
    },
  },
};
