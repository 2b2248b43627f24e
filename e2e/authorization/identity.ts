import { ANYONE, ENTITY_MEMBERS, EVERYONE, lists, MEMBERS, MEMBERS_IN_LISTS, PLATFORM_ADMINS, row, TENANT_ADMINS, type Cases, type FieldCase } from './cases.ts';

export const ofUser = (fields: string): FieldCase => ({
  document: `query ($id: ID!) { user(id: $id) { field: ${fields} } }`,
  variables: ({ userId }) => ({ id: userId }),
  expect: { platformAdmin: 'ok', tenantAdmin: 'ok', operator: 'FORBIDDEN', viewer: 'FORBIDDEN', auditor: 'ok', stranger: 'null' },
});

export const identity: Cases = {
  roots: {
    'Query.me': { document: '{ me { id } }', expect: EVERYONE },
    'Query.user': { document: 'query ($id: ID!) { user(id: $id) { id email } }', variables: ({ userId }) => ({ id: userId }), expect: MEMBERS },
    'Query.users': {
      document: '{ users { edges { node { id email } } } }',
      shows: lists(({ userId }) => userId),
      expect: row('ok', 'ok', 'nothing', 'nothing', 'nothing', { auditor: 'ok' }),
    },
    'Query.tenant': { document: 'query ($id: ID!) { tenant(id: $id) { id quota { vms } } }', variables: ({ tenantId }) => ({ id: tenantId }), expect: MEMBERS },
    'Query.tenants': { document: '{ tenants { edges { node { id } } } }', shows: lists(({ tenantId }) => tenantId), expect: MEMBERS_IN_LISTS },

    'Mutation.login': {
      document: 'mutation ($input: LoginInput!) { login(input: $input) { accessToken } }',
      variables: ({ credentials }) => ({ input: credentials }),
      expect: ANYONE,
    },
    'Mutation.refreshSession': {
      document: 'mutation ($token: String!) { refreshSession(refreshToken: $token) { accessToken } }',
      variables: ({ refreshToken }) => ({ token: refreshToken }),
      prepare: async (fixtures) => ({ refreshToken: await fixtures.refreshToken() }),
      ownSession: true,
      expect: ANYONE,
    },
    'Mutation.logout': { document: 'mutation { logout }', ownSession: true, expect: EVERYONE },
    'Mutation.createTenant': {
      document: 'mutation ($input: CreateTenantInput!) { createTenant(input: $input) { id } }',
      variables: ({ unique }) => ({ input: { name: unique } }),
      expect: PLATFORM_ADMINS,
    },
    'Mutation.createUser': {
      document: 'mutation ($input: CreateUserInput!) { createUser(input: $input) { id } }',
      variables: ({ tenantId, unique }) => ({ input: { email: `${unique}@novacron.test`, name: unique, password: 'long enough to do', tenantId, role: 'viewer' } }),
      expect: TENANT_ADMINS,
    },
    'Mutation.assignRole': {
      document: 'mutation ($userId: ID!, $tenantId: ID!) { assignRole(userId: $userId, role: "viewer", tenantId: $tenantId) { id } }',
      variables: ({ userId, tenantId }) => ({ userId, tenantId }),
      expect: TENANT_ADMINS,
    },
  },
  entities: {
    User: { idOf: ({ userId }) => userId, fields: 'id email', shows: ({ email }) => email !== null, expect: ENTITY_MEMBERS },
    Tenant: { idOf: ({ tenantId }) => tenantId, fields: 'id name usage { vms }', shows: ({ name }) => name === 'acme', expect: ENTITY_MEMBERS },
  },
  fields: {
    'User.roles': ofUser('roles { role }'),
    'User.permissions': ofUser('permissions'),
    'User.sessions': ofUser('sessions { id }'),
  },
};
