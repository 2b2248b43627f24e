import { createHash, randomUUID } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { roleName, rolePassword, SERVICE_ROLES, serviceDatabaseUrl, type ServiceRole } from './connections.ts';

/** Prisma's own lock, so that its CLI and we never migrate at once (prisma-engines, sql-migration-connector). */
const PRISMA_LOCK = 72707369;
/** The kernel first: the others' roles are granted its functions. */
const SCHEMAS = ['operations', 'identity', 'vms', 'storage', 'network', 'migration', 'monitoring'] as const;

const MIGRATIONS_TABLE = `CREATE TABLE IF NOT EXISTS _prisma_migrations (
  id VARCHAR(36) PRIMARY KEY NOT NULL, checksum VARCHAR(64) NOT NULL, finished_at TIMESTAMPTZ,
  migration_name VARCHAR(255) NOT NULL, logs TEXT, rolled_back_at TIMESTAMPTZ,
  started_at TIMESTAMPTZ NOT NULL DEFAULT now(), applied_steps_count INTEGER NOT NULL DEFAULT 0)`;

/**
 * Brings the database to what prisma/<service>/migrations say, in the table that Prisma's CLI keeps too, and makes
 * the services' roles. Idempotent; several processes may call it at once. Needs the owner's URL.
 *
 * @returns the names of the migrations that were applied
 */
export async function migrate(ownerUrl: string, directory = join(import.meta.dirname, '../../../prisma')): Promise<string[]> {
  const client = new pg.Client({ connectionString: ownerUrl });
  await client.connect();
  try {
    await client.query('SELECT pg_advisory_lock($1)', [PRISMA_LOCK]);
    for (const service of SERVICE_ROLES) await ensureRole(client, ownerUrl, service);
    const applied: string[] = [];
    for (const schema of SCHEMAS) {
      const migrations = join(directory, schema, 'migrations');
      if (existsSync(migrations)) applied.push(...(await migrateSchema(client, schema, migrations)));
    }
    return applied;
  } finally {
    await client.end();
  }
}

/** Roles belong to the whole server, so another database's migration may be making the same one just now. */
async function ensureRole(client: pg.Client, ownerUrl: string, service: ServiceRole): Promise<void> {
  if (await canLogIn(ownerUrl, service)) return;
  const role = client.escapeIdentifier(roleName(service));
  const secret = rolePassword(ownerUrl, service);
  const password = secret === null ? 'NULL' : client.escapeLiteral(secret);
  // Asked first, because a statement that fails is written to the server's log, password and all.
  const { rows } = await client.query('SELECT 1 FROM pg_roles WHERE rolname = $1', [roleName(service)]);
  if (rows.length > 0) return void (await client.query(`ALTER ROLE ${role} LOGIN PASSWORD ${password}`));
  try {
    await client.query(`CREATE ROLE ${role} LOGIN PASSWORD ${password}`);
  } catch (error) {
    const madeMeanwhile = error instanceof pg.DatabaseError && (error.code === '42710' || error.code === '23505');
    if (!madeMeanwhile) throw error;
  }
}

async function canLogIn(ownerUrl: string, service: ServiceRole): Promise<boolean> {
  const client = new pg.Client({ connectionString: serviceDatabaseUrl(ownerUrl, service) });
  try {
    await client.connect();
    return true;
  } catch {
    return false; // not there yet, or with another password: made so by the caller
  } finally {
    await client.end().catch(() => undefined);
  }
}

async function migrateSchema(client: pg.Client, schema: (typeof SCHEMAS)[number], directory: string): Promise<string[]> {
  await client.query(`CREATE SCHEMA IF NOT EXISTS "${schema}"`);
  await client.query(`SET search_path = "${schema}"`);
  await client.query(MIGRATIONS_TABLE);
  const { rows } = await client.query<{ migration_name: string; checksum: string; finished_at: Date | null }>(
    'SELECT migration_name, checksum, finished_at FROM _prisma_migrations WHERE rolled_back_at IS NULL',
  );
  const known = new Map(rows.map((row) => [row.migration_name, row]));
  const applied: string[] = [];
  for (const name of readdirSync(directory).toSorted()) {
    const file = join(directory, name, 'migration.sql');
    if (!existsSync(file)) continue;
    const sql = readFileSync(file, 'utf8');
    const checksum = createHash('sha256').update(sql).digest('hex');
    const before = known.get(name);
    if (before && before.checksum !== checksum) throw new Error(`Migration ${schema}/${name} was edited after it was applied.`);
    if (before) continue;
    await client.query('BEGIN');
    try {
      await client.query(sql);
      await client.query(
        'INSERT INTO _prisma_migrations (id, checksum, migration_name, finished_at, applied_steps_count) VALUES ($1, $2, $3, now(), 1)',
        [randomUUID(), checksum, name],
      );
      await client.query('COMMIT');
    } catch (error) {
      await client.query('ROLLBACK');
      throw new Error(`Migration ${schema}/${name} failed: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
    }
    applied.push(`${schema}/${name}`);
  }
  if (schema !== 'operations') await grantSchema(client, schema);
  return applied;
}

/** A service's role owns nothing, and touches nothing but its schema's rows. */
async function grantSchema(client: pg.Client, schema: Exclude<(typeof SCHEMAS)[number], 'operations'>): Promise<void> {
  const role = roleName(schema);
  await client.query(`GRANT USAGE ON SCHEMA "${schema}" TO ${role}`);
  await client.query(`GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA "${schema}" TO ${role}`);
  await client.query(`REVOKE ALL ON "${schema}"._prisma_migrations FROM ${role}`);
  await client.query(`GRANT USAGE ON ALL SEQUENCES IN SCHEMA "${schema}" TO ${role}`);
}
