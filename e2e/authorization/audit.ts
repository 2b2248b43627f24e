import type { Loose } from '../kit/client.ts';
import { byScope, row, type Cases } from './cases.ts';

export const audit: Cases = {
  roots: {
    'Query.auditLog': {
      document: '{ auditLog(first: 500) { edges { node { tenantId action } } } }',
      shows: (log, { tenantId }) => log['edges'].some(({ node }: Loose) => node.tenantId === tenantId),
      expect: byScope({ ...row('ok', 'ok', 'FORBIDDEN', 'FORBIDDEN', 'nothing'), auditor: 'ok' }),
    },
  },
  entities: {},
  fields: {},
};
