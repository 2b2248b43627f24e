import type { SessionId, UserId } from '@novacron/core';
import { emit } from '@novacron/operations';
import type { Database, Transaction } from './database.ts';
import { endOwnersMailTokens } from './mail-tokens.ts';
import { endSessions } from './sessions.ts';

/** Every write about passwords. */

/** The same password, hashed anew; nothing when it has been changed meanwhile. */
export async function replaceHash(db: Database, { userId, from, to }: { userId: string; from: string; to: string }): Promise<void> {
  await db.user.updateMany({ where: { id: userId, passwordHash: from }, data: { passwordHash: to } });
}

/**
 * Another password: the links by which the account could get another one, or another address, are no good any more, and the sessions
 * end, all but `except`. The last change of its transaction.
 */
export async function putPassword(tx: Transaction, { userId, passwordHash, except = null }: { userId: UserId; passwordHash: string; except?: SessionId | null }, at: Date): Promise<void> {
  await tx.user.update({ where: { id: userId }, data: { passwordHash, passwordChangedAt: at, mustChangePassword: false } });
  await endOwnersMailTokens(tx, userId, at);
  await endSessions(tx, { userId, except }, at);
  // it may have owed a new one
  await emit(tx, { type: 'user.access', tenantId: null, entityId: userId, after: {} });
}

/** Whose password it is, locked until the transaction ends; null for who is gone, or may not sign in. */
export async function lockAccount(tx: Transaction, userId: UserId) {
  await tx.$queryRaw`SELECT 1 FROM users WHERE id = ${userId}::uuid FOR NO KEY UPDATE`;
  return tx.user.findFirst({
    where: { id: userId, kind: 'person', deactivatedAt: null, deletedAt: null },
    select: { email: true, name: true, username: true, emailClaimed: true, emailVerified: true, passwordHash: true },
  });
}
