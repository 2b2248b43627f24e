import { randomBytes } from 'node:crypto';
import type { Logger } from 'pino';
import { hasUsers } from './directory.ts';
import type { Passwords } from './passwords.ts';
import { parseEmail, parsePassword } from './rules.ts';
import { createFirstAdministrator } from './store/accounts.ts';
import type { Database } from './store/database.ts';

export const FIRST_TENANT = 'default';
const ADMINISTRATOR_NAME = 'Administrator';
const GENERATED_PASSWORD_BYTES = 15;

export interface FirstAdministrator {
  email: string;
  password: string;
  /** True when nobody gave the password: it is shown now or never. */
  generated: boolean;
}

/**
 * Into a database without users: the tenant `default`, without quota, and its platform administrator. Idempotent,
 * also between processes that start at once. BAD_USER_INPUT for an address or a password that can't be one.
 *
 * @returns null when there are users already
 */
export async function bootstrap(
  { db, passwords, now, logger }: { db: Database; passwords: Passwords; now: () => Date; logger: Logger },
  wanted: { email: string; password?: string | undefined },
): Promise<FirstAdministrator | null> {
  if (await hasUsers(db)) return null;
  const generated = wanted.password === undefined;
  const email = parseEmail(wanted.email);
  const password = parsePassword(wanted.password ?? randomBytes(GENERATED_PASSWORD_BYTES).toString('base64url'), [email]);
  const passwordHash = await passwords.hash(password);
  const created = await createFirstAdministrator(db, FIRST_TENANT, { email, name: ADMINISTRATOR_NAME, passwordHash, at: now() });
  if (!created) return null;
  logger.info({ email }, 'first administrator created');
  return { email, password, generated };
}
