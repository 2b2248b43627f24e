import { DomainError, type SessionId, type UserId } from '@novacron/core';
import { inTransaction } from '@novacron/database';
import { emit } from '@novacron/operations';
import { revokeApiTokens } from './api-tokens.ts';
import type { Database, Transaction } from './database.ts';
import type { MailToken } from './mail-tokens.ts';
import { removeSecondFactor } from './second-factors.ts';

/** Every write about whose an address is: any number may wait for it, one has it. */

/** Of those who wait and are in no tenant: whoever an administrator took in stays. */
const waitingFor = (email: string) => ({ email, emailClaimed: false, kind: 'person', deletedAt: null, roles: { none: {} } }) as const;

/** From here on one transaction after the other decides whose the address is. The first lock of each: removing an account locks what hangs on it. */
export async function lockAddress(tx: Transaction, email: string): Promise<void> {
  await tx.$executeRaw`SELECT pg_advisory_xact_lock(hashtextextended(${`identity: address ${email}`}, 0))`;
}

const isTaken = async (tx: Transaction, { userId, email }: MailToken): Promise<boolean> =>
  (await tx.user.findFirst({ where: { email, emailClaimed: true, id: { not: userId } }, select: { id: true } })) !== null;

/**
 * Somebody has shown that it reads mail at its account's address: the account has it from now on, and the others that waited for
 * it are removed. For who has locked the address. INVALID_STATE when another account has it, or this one has another address by now.
 */
export async function claimAddress(tx: Transaction, { userId, email }: MailToken): Promise<void> {
  if (await isTaken(tx, { userId, email })) throw new DomainError('INVALID_STATE', 'There is an account with this address already: sign in to that one.');
  const { count } = await tx.user.updateMany({ where: { id: userId, email, deactivatedAt: null, deletedAt: null }, data: { emailClaimed: true, emailVerified: true } });
  if (count === 0) throw new DomainError('INVALID_STATE', 'This account has another address by now, or is gone.');
  const others = await tx.user.findMany({ where: { ...waitingFor(email), id: { not: userId } }, select: { id: true } });
  await removeUsers(tx, others);
}

/**
 * Until somebody shows that an account's address is its own, anybody may have been in there: nothing that was put into it is left by
 * which they come back without its password, or keep out who has shown it. Sessions are left to the caller.
 */
export async function evictStrangers(tx: Transaction, userId: UserId, at: Date): Promise<void> {
  await tx.mailToken.updateMany({ where: { userId, usedAt: null }, data: { usedAt: at } });
  await tx.knownDevice.deleteMany({ where: { userId } });
  await tx.sshKey.deleteMany({ where: { userId } });
  await tx.user.update({ where: { id: userId }, data: { username: null } });
  await revokeApiTokens(tx, { userId }, at);
  await removeSecondFactor(tx, userId);
}

/** An administrator vouches for an address, if nobody else has it. */
export async function claimIfFree(tx: Transaction, { userId, email }: MailToken): Promise<void> {
  await lockAddress(tx, email);
  if (await isTaken(tx, { userId, email })) return;
  await tx.user.updateMany({ where: { id: userId, email }, data: { emailClaimed: true } });
}

/** So many in one transaction: whoever else wants their rows does not wait for long. */
const AT_ONCE = 1_000;

/** Whoever registered before then, and has neither shown that its address is its own nor been taken into a tenant. */
export async function removeUnclaimed(db: Database, before: Date, atOnce = AT_ONCE): Promise<number> {
  const { email: _, ...waiting } = waitingFor('');
  let removed = 0;
  for (;;) {
    const { found, count } = await inTransaction(db, async (tx) => {
      const users = await tx.user.findMany({ where: { ...waiting, createdAt: { lte: before } }, select: { id: true }, take: atOnce });
      return { found: users.length, count: await removeUsers(tx, users) };
    });
    removed += count;
    if (found < atOnce || count === 0) return removed; // who is left was taken in meanwhile, and is not found again
  }
}

/** With their sessions, whose tokens are refused at once. The last change of its transaction. */
async function removeUsers(tx: Transaction, users: readonly { id: string }[]): Promise<number> {
  const ids = users.map(({ id }) => id).toSorted();
  if (ids.length === 0) return 0;
  const open = await tx.$queryRaw<{ id: SessionId; user_id: UserId }[]>`SELECT id, user_id FROM sessions WHERE user_id = ANY (${ids}::uuid[]) AND revoked_at IS NULL ORDER BY id FOR UPDATE`;
  const { count } = await tx.user.deleteMany({ where: { id: { in: ids }, emailClaimed: false, deletedAt: null, roles: { none: {} } } });
  for (const { id, user_id: userId } of open) await emit(tx, { type: 'session.revoked', tenantId: null, entityId: id, after: { userId } });
  return count;
}
