import type { UserId } from '@novacron/core';
import type { Mailbox } from '../mail/mailbox.ts';
import { evictStrangers } from '../store/claims.ts';
import type { Transaction } from '../store/database.ts';
import { hasSecondFactorByNow } from '../store/second-factors.ts';

/**
 * Clears an account for who has just shown that its address is its own, and was not known to be in there: see evictStrangers. Told by
 * mail where a second factor goes with it.
 */
export async function clearOfStrangers(tx: Transaction, mailbox: Mailbox, { userId, email, address }: { userId: UserId; email: string; address: string | null }, at: Date): Promise<void> {
  if (await hasSecondFactorByNow(tx, userId)) {
    const { name } = await tx.user.findUniqueOrThrow({ where: { id: userId }, select: { name: true } });
    await mailbox.post(tx, { kind: 'second_factor_changed', recipient: email, userId, content: { name, change: 'disabled', address, at } }, at);
  }
  await evictStrangers(tx, userId, at);
}
