import { newId, type UserId } from '@novacron/core';
import type { UserRecord } from '../visibility.ts';
import type { Transaction } from './database.ts';
import { NEWCOMER } from './records.ts';

/** Every write about who registers itself. */

/** An account without any role, whose address nobody has shown to be its own. */
export async function insertRegistration(tx: Transaction, { at, ...account }: { email: string; name: string; passwordHash: string; at: Date }): Promise<UserRecord> {
  const { passwordHash, ...shown } = { ...NEWCOMER, id: newId<UserId>(), ...account, createdAt: at };
  await tx.user.create({ data: { ...shown, passwordHash, emailClaimed: false } });
  return { ...shown, roles: [] };
}

/** Whose the address is. */
export const findClaimant = (tx: Transaction, email: string): Promise<{ id: string; name: string } | null> =>
  tx.user.findFirst({ where: { email, emailClaimed: true, deletedAt: null }, select: { id: true, name: true } });
