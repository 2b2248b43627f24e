import { join } from 'node:path';
import { SERVICE_ROLES } from '@novacron/database';
import { LocalError, startPostgres } from '@novacron/local';
import type { Environment } from '../app/src/environment.ts';

/** The database of an installation, as its owner, for a command that looks after it. */
export interface OwnerDatabase {
  url: string;
  /** Stops what was started for the command alone. */
  close(): Promise<void>;
}

/**
 * DATABASE_URL's, or else the private one: the server that runs already, whoever has started it, or one that is started for as long as
 * the command. LocalError where DATABASE_URL is that of one service.
 */
export async function openOwnerDatabase({ databaseUrl, data }: Pick<Environment, 'databaseUrl' | 'data'>): Promise<OwnerDatabase> {
  if (databaseUrl !== null) {
    const { username } = new URL(databaseUrl);
    if (SERVICE_ROLES.some((role) => username === `novacron_${role}`)) throw new LocalError(`DATABASE_URL must be that of the database's owner, not of ${username}.`);
    return { url: databaseUrl, close: async () => {} };
  }
  const { url, reused, stop } = await startPostgres({ dir: join(data, 'postgres') });
  return { url, close: reused ? async () => {} : stop };
}
