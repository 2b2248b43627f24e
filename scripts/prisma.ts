/**
 * npm run prisma -- <service> <command ...>: the Prisma CLI for one service's schema, offline.
 *   npm run prisma -- vms migrate dev --name add-snapshots
 * Commands that need a database get DATABASE_URL's, or else one on a private PostgreSQL that lives for as
 * long as the command.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { migrate } from '@novacron/database';
import { startPostgres, testRun } from '@novacron/testkit';

const root = join(import.meta.dirname, '..');
const services = readdirSync(join(root, 'prisma')).filter((name) => existsSync(join(root, 'prisma', name, 'schema.prisma')));
const [service = '', ...command] = process.argv.slice(2);

if (!services.includes(service) || command.length === 0) {
  console.error(`usage: npm run prisma -- <service> <command ...>, where <service> is one of ${services.join(', ')}.`);
  process.exit(2);
}

/** With the services' roles, which migrations grant to; the migrations themselves are up to the CLI. */
async function scratchDatabase(): Promise<string> {
  const database = await (await startPostgres()).createDatabase();
  const noMigrations = join(import.meta.dirname, 'setup');
  await migrate(database.url, noMigrations);
  return database.url;
}

const usesDatabase = command[0] === 'migrate' || command[0] === 'db';
const scratch = usesDatabase && !process.env['DATABASE_URL'];
const run = scratch ? await testRun() : undefined;
const url = scratch ? await scratchDatabase() : process.env['DATABASE_URL'];
const { status } = spawnSync(process.execPath, [join(root, 'node_modules/prisma/build/index.js'), ...command], {
  cwd: root,
  stdio: 'inherit',
  env: {
    ...process.env,
    ...(url && { DATABASE_URL: url }),
    PATH: `${join(root, 'node_modules/.bin')}:${process.env['PATH'] ?? ''}`,
    PRISMA_SERVICE: service,
    PRISMA_SCHEMA_ENGINE_BINARY: join(root, 'scripts/schema-engine.mjs'),
    PRISMA_HIDE_UPDATE_MESSAGE: '1',
    CHECKPOINT_DISABLE: '1',
  },
});
await run?.close();
process.exitCode = status ?? 1;
