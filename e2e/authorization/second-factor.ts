import { byScope, EVERYONE, row, TENANT_ADMINS, type Cases } from './cases.ts';
import { ofUser } from './identity.ts';

/** None of the actors has a second factor: its codes are asked for only once it is known who asks. */
const HAVE_NONE = row('INVALID_STATE', 'INVALID_STATE', 'INVALID_STATE', 'INVALID_STATE', 'INVALID_STATE');
const WRONG = row('BAD_USER_INPUT', 'BAD_USER_INPUT', 'BAD_USER_INPUT', 'BAD_USER_INPUT', 'BAD_USER_INPUT');

export const secondFactor: Cases = {
  roots: {
    'Mutation.beginTotp': { document: 'mutation { beginTotp { secret } }', ownSession: true, expect: EVERYONE },
    'Mutation.confirmTotp': { document: 'mutation { beginTotp { secret } confirmTotp(code: "none") { codes } }', expect: WRONG },
    'Mutation.disableTotp': { document: 'mutation { disableTotp(code: "none") }', expect: HAVE_NONE },
    'Mutation.renewBackupCodes': { document: 'mutation { renewBackupCodes(code: "none") { codes } }', expect: HAVE_NONE },
    'Mutation.resetSecondFactor': {
      document: 'mutation ($userId: ID!) { resetSecondFactor(userId: $userId) { id } }',
      variables: ({ userId }) => ({ userId }),
      expect: byScope(TENANT_ADMINS),
    },
    'Mutation.requireSecondFactor': {
      document: 'mutation ($tenantId: ID!) { requireSecondFactor(tenantId: $tenantId, roles: []) { id } }',
      variables: ({ tenantId }) => ({ tenantId }),
      expect: byScope(TENANT_ADMINS),
    },
  },
  entities: {},
  fields: {
    'User.totpEnabled': ofUser('totpEnabled'),
    'User.backupCodesLeft': ofUser('backupCodesLeft'),
  },
};
