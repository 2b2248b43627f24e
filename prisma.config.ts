import { defineConfig } from 'prisma/config';

// `npm run prisma -- <service> <command>` names the service and the database; see scripts/prisma.ts.
const service = process.env['PRISMA_SERVICE'] ?? 'operations';
const url = new URL(process.env['DATABASE_URL'] ?? 'postgresql://nobody@127.0.0.1:1/nothing');
url.searchParams.set('schema', service);

export default defineConfig({
  schema: `prisma/${service}/schema.prisma`,
  migrations: { path: `prisma/${service}/migrations` },
  datasource: { url: url.toString() },
});
