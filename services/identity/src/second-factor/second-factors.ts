import type { UserId } from '@novacron/core';
import type { Database } from '../store/database.ts';

/** What a sign-in with the right password still lacks. `right`: the code was good, and is spent. */
export type SecondFactorCheck = 'none' | 'owed' | 'right' | 'wrong';

export interface SecondFactors {
  check(userId: UserId, code: string | null): Promise<SecondFactorCheck>;
}

export const createSecondFactors = ({ db }: { db: Database }): SecondFactors => ({
  async check(userId, code) {
    const totp = await db.totp.findFirst({ where: { userId, confirmedAt: { not: null } }, select: { userId: true } });
    if (totp === null) return 'none';
    return code === null ? 'owed' : 'wrong';
  },
});
