import type { Database } from './database.ts';

/** Every write about passwords. */

/** The same password, hashed anew; nothing when it has been changed meanwhile. */
export async function replaceHash(db: Database, { userId, from, to }: { userId: string; from: string; to: string }): Promise<void> {
  await db.user.updateMany({ where: { id: userId, passwordHash: from }, data: { passwordHash: to } });
}
