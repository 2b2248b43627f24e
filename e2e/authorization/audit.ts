import type { Loose } from '../kit/client.ts';
import { row, type Cases } from './cases.ts';

export const audit: Cases = {
  roots: {
    'Query.auditLog': {
      document: '{ auditLog(first: 500) { edges { node { tenantId action } } } }',
      shows: (log, { tenantId }) => log['edges'].some(({ node }: Loose) => node.tenantId === tenantId),
      expect: row('ok', 'ok', 'FORBIDDEN', 'FORBIDDEN', 'nothing'),
    },
  },
  entities: {},
  fields: {},
};
