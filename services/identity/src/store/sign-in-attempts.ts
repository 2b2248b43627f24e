import { newId, type UserId } from '@novacron/core';
import type { SignInOutcome } from '../generated/prisma/enums.ts';
import { waitMsAfter } from '../second-factor/patience.ts';
import type { Database, Transaction } from './database.ts';
import type { Origin } from './sessions.ts';

/** Every write about who tried to sign in, from where, and how often it failed. */

type Hash = Buffer<ArrayBuffer>;

export interface Attempt {
  /** Null where nobody has the account that was named. */
  userId: string | null;
  /** What was typed to name it, hashed. */
  account: Hash;
  outcome: SignInOutcome;
  origin: Origin;
  /** From a device that the account knows. */
  known: boolean;
  at: Date;
}

export async function recordAttempt(sql: Database | Transaction, { origin, ...attempt }: Attempt): Promise<void> {
  await sql.signInAttempt.create({ data: { id: newId(), ...attempt, ...origin } });
}

/** Failures further apart are not in a row. */
const FORGOTTEN_MS = 24 * 3_600_000;

/** Until when nothing is looked at, for each key that waits. */
export async function readRefusals(sql: Database | Transaction, keys: readonly Hash[], at: Date): Promise<Map<string, Date>> {
  const rows = await sql.signInThrottle.findMany({ where: { key: { in: [...keys] }, refusedUntil: { gt: at } }, select: { key: true, refusedUntil: true } });
  return new Map(rows.flatMap(({ key, refusedUntil }) => (refusedUntil === null ? [] : [[Buffer.from(key).toString('hex'), refusedUntil]])));
}

/** Counts a failure for each of them, exactly under any race. */
export async function countFailures(tx: Transaction, keys: readonly Hash[], at: Date): Promise<void> {
  const since = new Date(at.getTime() - FORGOTTEN_MS);
  // in one order, so that two that count at once wait for one another
  for (const key of keys.toSorted(Buffer.compare)) {
    const [counted] = await tx.$queryRaw<{ failures: number }[]>`
      INSERT INTO sign_in_throttles AS t (key, failures, last_failed_at) VALUES (${key}, 1, ${at})
      ON CONFLICT (key) DO UPDATE SET failures = CASE WHEN t.last_failed_at < ${since} THEN 1 ELSE t.failures + 1 END, last_failed_at = ${at}
      RETURNING failures`;
    const waitMs = waitMsAfter(counted?.failures ?? 1);
    if (waitMs > 0) await tx.signInThrottle.update({ where: { key }, data: { refusedUntil: new Date(at.getTime() + waitMs) } });
  }
}

/** The right password was shown. */
export async function forgiveFailures(sql: Database | Transaction, key: Hash): Promise<void> {
  await sql.signInThrottle.deleteMany({ where: { key } });
}

export const findKnownDevices = (sql: Database | Transaction, userIds: readonly string[], fingerprint: Hash): Promise<{ userId: string }[]> =>
  sql.knownDevice.findMany({ where: { userId: { in: [...userIds] }, fingerprint }, select: { userId: true } });

/**
 * A user has signed in from there.
 *
 * @returns `new`: it was not known before, and others were; `first`: the first of the account's
 */
export async function rememberDevice(tx: Transaction, userId: UserId, fingerprint: Hash, at: Date): Promise<'known' | 'new' | 'first'> {
  const { count } = await tx.knownDevice.updateMany({ where: { userId, fingerprint }, data: { lastSeenAt: at } });
  if (count > 0) return 'known';
  const others = await tx.knownDevice.count({ where: { userId } });
  await tx.knownDevice.createMany({ data: [{ userId, fingerprint, firstSeenAt: at, lastSeenAt: at }], skipDuplicates: true });
  return others > 0 ? 'new' : 'first';
}

/** After a password was reset: whoever knew the old one may have been at any of them. */
export async function forgetDevices(tx: Transaction, userId: UserId): Promise<void> {
  await tx.knownDevice.deleteMany({ where: { userId } });
}

/** Forgets what is of no use any more: attempts of 30 days ago, devices that were not seen for half a year, failures that are not in a row. */
export async function forgetOldAttempts(db: Database, at: Date): Promise<void> {
  const ago = (days: number) => new Date(at.getTime() - days * 24 * 3_600_000);
  await db.signInAttempt.deleteMany({ where: { at: { lte: ago(30) } } });
  await db.knownDevice.deleteMany({ where: { lastSeenAt: { lte: ago(180) } } });
  await db.signInThrottle.deleteMany({ where: { lastFailedAt: { lte: ago(1) } } });
}
