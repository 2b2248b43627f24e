import { EVERYONE, row, TENANT_ADMINS, type Cases } from './cases.ts';
import { newPublicKey } from './fixtures.ts';
import { ofUser } from './identity.ts';

export const machines: Cases = {
  roots: {
    'Query.apiTokenScopes': { document: '{ apiTokenScopes }', expect: EVERYONE },
    'Mutation.createApiToken': {
      document: 'mutation ($input: CreateApiTokenInput!) { createApiToken(input: $input) { token { id } } }',
      variables: ({ unique }) => ({ input: { name: unique, scopes: ['vm:read'] } }),
      ownSession: true, // a new one: who signed in a while ago is asked for its password
      // who may do nothing has nothing to give
      expect: row('ok', 'ok', 'ok', 'ok', 'ok', { newcomer: 'FORBIDDEN' }),
    },
    'Mutation.revokeApiToken': {
      document: 'mutation ($id: ID!) { revokeApiToken(id: $id) }',
      variables: ({ apiTokenId }) => ({ id: apiTokenId }),
      prepare: (fixtures) => fixtures.apiToken(),
      expect: TENANT_ADMINS,
    },
    'Mutation.createServiceAccount': {
      document: 'mutation ($input: CreateServiceAccountInput!) { createServiceAccount(input: $input) { id } }',
      variables: ({ unique, tenantId }) => ({ input: { name: unique, tenantId, role: 'viewer' } }),
      expect: TENANT_ADMINS,
    },
    'Mutation.deleteServiceAccount': {
      document: 'mutation ($id: ID!) { deleteServiceAccount(id: $id) }',
      variables: ({ serviceAccountId }) => ({ id: serviceAccountId }),
      prepare: (fixtures) => fixtures.apiToken(),
      expect: TENANT_ADMINS,
    },
    'Mutation.addSshKey': {
      document: 'mutation ($input: AddSshKeyInput!) { addSshKey(input: $input) { id } }',
      variables: () => ({ input: { publicKey: newPublicKey() } }),
      expect: EVERYONE,
    },
    'Mutation.removeSshKey': {
      document: 'mutation ($id: ID!) { removeSshKey(id: $id) }',
      variables: ({ sshKeyId }) => ({ id: sshKeyId }),
      prepare: async (fixtures) => ({ sshKeyId: await fixtures.sshKey() }),
      expect: row('ok', 'NOT_FOUND', 'NOT_FOUND', 'NOT_FOUND', 'NOT_FOUND'),
    },
  },
  entities: {},
  fields: {
    'User.apiTokens': ofUser('apiTokens { id }'),
    'User.sshKeys': ofUser('sshKeys { id }'),
    'Tenant.serviceAccounts': {
      document: 'query ($id: ID!) { tenant(id: $id) { field: serviceAccounts { id } } }',
      variables: ({ tenantId }) => ({ id: tenantId }),
      expect: { platformAdmin: 'ok', tenantAdmin: 'ok', operator: 'FORBIDDEN', viewer: 'FORBIDDEN', auditor: 'ok', stranger: 'null' },
    },
  },
};
