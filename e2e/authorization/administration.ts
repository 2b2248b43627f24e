import { byScope, PLATFORM_ADMINS, row, type Cases } from './cases.ts';

/** Mails, settings, and security at a glance. */
export const administration: Cases = {
  roots: {
    'Query.mailState': { document: '{ mailState { configured } }', expect: PLATFORM_ADMINS },
    'Query.deadMails': {
      document: '{ deadMails { edges { node { id } } } }',
      prepare: async (fixtures) => ({ mailId: await fixtures.deadMail() }),
      shows: ({ edges }, { mailId }) => edges.some(({ node }: { node: { id: string } }) => node.id === mailId),
      expect: PLATFORM_ADMINS,
    },
    'Mutation.retryMail': {
      document: 'mutation ($id: ID!) { retryMail(id: $id) { id } }',
      variables: ({ mailId }) => ({ id: mailId }),
      prepare: async (fixtures) => ({ mailId: await fixtures.deadMail() }),
      expect: PLATFORM_ADMINS,
    },
    'Query.settings': { document: '{ settings { name } }', expect: PLATFORM_ADMINS },
    'Query.settingChanges': { document: '{ settingChanges { totalCount } }', expect: PLATFORM_ADMINS },
    'Mutation.updateSetting': { document: 'mutation { updateSetting(name: "registration.open", value: true) { name } }', expect: PLATFORM_ADMINS },
    'Query.security': {
      document: 'query ($tenantId: ID!) { security(tenantId: $tenantId) { lockedAccounts { refused } } }',
      variables: ({ tenantId }) => ({ tenantId }),
      expect: byScope(row('ok', 'ok', 'FORBIDDEN', 'FORBIDDEN', 'NOT_FOUND', { auditor: 'ok' })),
    },
  },
  entities: {},
  fields: {},
};
