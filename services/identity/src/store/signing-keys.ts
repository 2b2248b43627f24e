import type { JWK } from 'jose';
import type { Database, Transaction } from './database.ts';

/** https://www.rfc-editor.org/rfc/rfc8037 with Ed25519, or https://www.rfc-editor.org/rfc/rfc7518#section-3.3 for whoever knows no other. */
export const TOKEN_ALGORITHMS = ['EdDSA', 'RS256'] as const;
export type TokenAlgorithm = (typeof TOKEN_ALGORITHMS)[number];

/** Every write about the keys that sign access tokens. One of them is not retired: that one signs, or will as soon as the one before is. */

export interface StoredKey {
  kid: string;
  algorithm: TokenAlgorithm;
  publicJwk: JWK;
  /** Sealed. */
  privateJwk: Uint8Array<ArrayBuffer>;
  /** Null: sealed as it was before keys had ids. */
  keyId: string | null;
  createdAt: Date;
  /** It signs until then, which may be in the future; null: until another one comes. */
  retiredAt: Date | null;
}

/** The key that is not retired, and the others that were retired after `since`, in the order in which they sign. */
export async function readSigningKeys(db: Database | Transaction, since: Date): Promise<StoredKey[]> {
  const rows = await db.signingKey.findMany({
    where: { OR: [{ retiredAt: null }, { retiredAt: { gt: since } }] },
    orderBy: [{ createdAt: 'asc' }, { kid: 'asc' }],
  });
  return rows.map(({ kid, algorithm, publicJwk, privateJwk, keyId, createdAt, retiredAt }) => ({
    kid,
    algorithm: algorithm as TokenAlgorithm, // written below
    publicJwk: publicJwk as JWK, // written below, from a JWK
    privateJwk,
    keyId,
    createdAt,
    retiredAt,
  }));
}

type NewKey = Pick<StoredKey, 'kid' | 'algorithm' | 'publicJwk' | 'privateJwk' | 'keyId'>;

interface Replacement {
  at: Date;
  /** Until then the key before goes on signing, so that everybody has heard of the new one by its first token. */
  retireAt: Date;
  /** Keys that were retired before are forgotten. */
  since: Date;
  /** The key that it takes the place of; null: it is the first. */
  replaces: string | null;
}

/** Puts `key` in the place of another one. Nothing happens when that was replaced already: of several processes one does it. */
export const putSigningKey = (db: Database, key: NewKey, { at, retireAt, since, replaces }: Replacement) =>
  db.$transaction(async (tx) => {
    // Conflicts with itself, not with readers: https://www.postgresql.org/docs/18/explicit-locking.html
    await tx.$executeRaw`LOCK TABLE signing_keys IN SHARE ROW EXCLUSIVE MODE`;
    const last = await tx.signingKey.findFirst({ where: { retiredAt: null }, select: { kid: true } });
    if ((last?.kid ?? null) !== replaces) return;
    await tx.signingKey.deleteMany({ where: { retiredAt: { lte: since } } });
    await tx.signingKey.updateMany({ where: { retiredAt: null }, data: { retiredAt: retireAt } });
    // Prisma's JSON input has no open-ended types; a JWK is plain JSON
    await tx.signingKey.create({ data: { ...key, publicJwk: { ...key.publicJwk } as Record<string, string>, createdAt: at } });
  });
