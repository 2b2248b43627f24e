/** Begins something and never comes to its end: audited-subgraph.test.ts kills it. */
import { auditSubgraph, createAuditTrail } from '@novacron/audit';
import { createBuilder, toSubgraphSchema } from '@novacron/graphql';
import { createSubgraphExecutor } from '@novacron/transport';
import { pino } from 'pino';

const [databaseUrl = ''] = process.argv.slice(2);
const logger = pino({ level: 'silent' });
const builder = createBuilder();
builder.queryType({ description: 'What can be asked.', fields: (t) => ({ nothing: t.boolean({ nullable: true, description: 'Nothing.', resolve: () => null }) }) });
builder.mutationType({
  description: 'What can be changed.',
  fields: (t) => ({
    hang: t.boolean({
      description: 'Takes for ever.',
      resolve: () => {
        process.stdout.write('begun\n');
        return new Promise<boolean>(() => {});
      },
    }),
  }),
});
setInterval(() => {}, 60_000); // a promise alone keeps no process alive
const trail = createAuditTrail({ databaseUrl, service: 'vms', logger });
const execute = createSubgraphExecutor(auditSubgraph({ name: 'vms', schema: toSubgraphSchema(builder), createContext: (request) => ({ ...request }) }, trail), logger);
await execute({ query: 'mutation { hang }', context: { viewer: null, requestId: 'killed', address: null, userAgent: null } });
