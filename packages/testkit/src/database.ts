import { migrate } from '@novacron/database';
import { startPostgres, type TestDatabase } from './postgres.ts';

/** A database of one's own with every service's schema in it. */
export async function migratedDatabase(): Promise<TestDatabase> {
  const postgres = await startPostgres();
  const database = await postgres.createDatabase();
  await migrate(database.url);
  return database;
}
