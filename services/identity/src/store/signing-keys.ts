import type { JWK } from 'jose';
import type { Database, Transaction } from './database.ts';

/** Every write about the keys that sign access tokens. One of them is not retired: that one signs. */

export interface StoredKey {
  kid: string;
  publicJwk: JWK;
  /** Sealed. */
  privateJwk: Uint8Array<ArrayBuffer>;
  createdAt: Date;
  retiredAt: Date | null;
}

/** The signing key, and the others that were retired after `since`. */
export async function readSigningKeys(db: Database | Transaction, since: Date): Promise<StoredKey[]> {
  const rows = await db.signingKey.findMany({
    where: { OR: [{ retiredAt: null }, { retiredAt: { gt: since } }] },
    orderBy: { createdAt: 'asc' },
  });
  return rows.map(({ kid, publicJwk, privateJwk, createdAt, retiredAt }) => ({
    kid,
    publicJwk: publicJwk as JWK, // written below, from a JWK
    privateJwk,
    createdAt,
    retiredAt,
  }));
}

type NewKey = Pick<StoredKey, 'kid' | 'publicJwk' | 'privateJwk'>;

/**
 * Makes `key` the one that signs, retires the one before and forgets those retired before `since`. With
 * `onlyFirst` nothing happens when there is one that signs already: of several processes that start, one makes it.
 */
export const putSigningKey = (db: Database, key: NewKey, { at, since, onlyFirst }: { at: Date; since: Date; onlyFirst: boolean }) =>
  db.$transaction(async (tx) => {
    // Conflicts with itself, not with readers: https://www.postgresql.org/docs/18/explicit-locking.html
    await tx.$executeRaw`LOCK TABLE signing_keys IN SHARE ROW EXCLUSIVE MODE`;
    if (onlyFirst && (await tx.signingKey.count({ where: { retiredAt: null } })) > 0) return;
    await tx.signingKey.deleteMany({ where: { retiredAt: { lte: since } } });
    await tx.signingKey.updateMany({ where: { retiredAt: null }, data: { retiredAt: at } });
    // Prisma's JSON input has no open-ended types; a JWK is plain JSON
    await tx.signingKey.create({ data: { ...key, publicJwk: { ...key.publicJwk } as Record<string, string>, createdAt: at } });
  });
