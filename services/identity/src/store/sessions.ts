import { emit } from '@novacron/operations';
import { DomainError, newId, type SessionId, type UserId } from '@novacron/core';
import type { Database, Transaction } from './database.ts';

/** Every write about sign-ins. A revoked session never comes back. */

/** From where somebody signs in. */
export interface Origin {
  address: string | null;
  /** The User-Agent. */
  device: string | null;
}

/**
 * Begins a session with its first refresh token, and forgets those of the user that are past their lifetime. UNAUTHENTICATED for who was
 * kept out since its password was looked at: whoever lets it in again lets in no session from before.
 */
export async function openSession(
  tx: Transaction,
  session: { userId: UserId; tokenHash: Buffer<ArrayBuffer>; origin: Origin; secondFactor: boolean; at: Date; lifetimeMs: number },
): Promise<SessionId> {
  const { userId, tokenHash, origin, secondFactor, at, lifetimeMs } = session;
  const id = newId<SessionId>();
  const { count } = await tx.user.updateMany({ where: { id: userId, deactivatedAt: null }, data: { lastLoginAt: at } });
  if (count === 0) throw new DomainError('UNAUTHENTICATED', 'This account can not be signed in to any more.');
  await tx.session.deleteMany({ where: { userId, createdAt: { lte: new Date(at.getTime() - lifetimeMs) } } });
  await tx.session.create({ data: { id, userId, createdAt: at, lastUsedAt: at, secondFactor, ...origin } });
  const expiresAt = new Date(at.getTime() + lifetimeMs);
  await tx.refreshToken.create({ data: { id: newId(), sessionId: id, tokenHash, createdAt: at, expiresAt } });
  return id;
}

export type Rotation =
  | { outcome: 'rotated'; sessionId: SessionId; userId: UserId }
  | { outcome: 'refused' }
  /** The token had been used before: its session is revoked. */
  | { outcome: 'reused'; sessionId: SessionId; userId: UserId };

/**
 * Spends a refresh token and puts `nextHash` in its place, which ends when its session does. A token is spent once,
 * under any race; the second time ends its session.
 */
export const rotateRefreshToken = (
  db: Database,
  { tokenHash, nextHash, origin, at }: { tokenHash: Buffer<ArrayBuffer>; nextHash: Buffer<ArrayBuffer>; origin: Origin; at: Date },
): Promise<Rotation> =>
  db.$transaction(async (tx) => {
    const token = await tx.refreshToken.findUnique({
      where: { tokenHash },
      select: { id: true, sessionId: true, expiresAt: true, session: { select: { userId: true } } },
    });
    if (token === null || token.expiresAt <= at) return { outcome: 'refused' };
    // ids leave the tables here: the brands exist only for the compiler
    const ids = { sessionId: token.sessionId as SessionId, userId: token.session.userId as UserId };
    // Takes the session's lock: from here on one after the other.
    const { count: alive } = await tx.session.updateMany({
      where: { id: ids.sessionId, revokedAt: null, user: { deactivatedAt: null } },
      data: { lastUsedAt: at, ...origin },
    });
    if (alive === 0) return { outcome: 'refused' };
    const next = newId();
    const { count: spent } = await tx.refreshToken.updateMany({
      where: { id: token.id, usedAt: null },
      data: { usedAt: at, replacedBy: next },
    });
    if (spent === 0) {
      await revoke(tx, ids, at);
      return { outcome: 'reused', ...ids };
    }
    await tx.refreshToken.create({
      data: { id: next, sessionId: ids.sessionId, tokenHash: nextHash, createdAt: at, expiresAt: token.expiresAt },
    });
    await forgetUsed(tx, ids.sessionId);
    return { outcome: 'rotated', ...ids };
  });

/** Ten days' worth, where one is used every quarter of an hour. */
const USED_KEPT = 1_000;

/**
 * Of the tokens that were used in a session the last ones are kept, or whoever refreshes all the time fills the disk. One that is older is unknown
 * when it comes back: it is refused, as it would be anyway, and does not end the session.
 */
const forgetUsed = (tx: Transaction, sessionId: SessionId): Promise<unknown> => tx.$executeRaw`
  DELETE FROM refresh_tokens WHERE id IN (
    SELECT id FROM refresh_tokens WHERE session_id = ${sessionId}::uuid AND used_at IS NOT NULL ORDER BY used_at DESC, id DESC OFFSET ${USED_KEPT})`;

/** Ends a session; ending it again changes nothing and says nothing. */
export const endSession = (db: Database, ids: { sessionId: SessionId; userId: UserId }, at: Date): Promise<void> =>
  db.$transaction((tx) => revoke(tx, ids, at));

/** Ends the sessions of a user, all of them or all but one, with the transaction that has the reason for it. The last of its changes; how many they were. */
export async function endSessions(tx: Transaction, { userId, except = null }: { userId: UserId; except?: SessionId | null }, at: Date): Promise<number> {
  // in one order, so that two that end them at once wait for one another
  const rows = await tx.$queryRaw<{ id: SessionId }[]>`
    SELECT id FROM sessions WHERE user_id = ${userId}::uuid AND revoked_at IS NULL AND (${except}::uuid IS NULL OR id <> ${except}::uuid) ORDER BY id FOR UPDATE`;
  await tx.session.updateMany({ where: { id: { in: rows.map(({ id }) => id) } }, data: { revokedAt: at } });
  for (const { id } of rows) await emit(tx, { type: 'session.revoked', tenantId: null, entityId: id, after: { userId } });
  return rows.length;
}

async function revoke(tx: Transaction, { sessionId, userId }: { sessionId: SessionId; userId: UserId }, at: Date): Promise<void> {
  const { count } = await tx.session.updateMany({ where: { id: sessionId, userId, revokedAt: null }, data: { revokedAt: at } });
  if (count === 0) return;
  await emit(tx, { type: 'session.revoked', tenantId: null, entityId: sessionId, after: { userId } });
}

/** For who has locked the user: whoever ends its sessions comes before, or undoes what follows. UNAUTHENTICATED for a session that has ended since it was looked at. */
export async function requireOpen(tx: Transaction, { userId, sessionId }: { userId: UserId; sessionId: SessionId }): Promise<void> {
  if ((await tx.session.count({ where: { id: sessionId, userId, revokedAt: null } })) > 0) return;
  throw new DomainError('UNAUTHENTICATED', 'This session has ended: sign in again.');
}

/** The sessions and API tokens that have ended after `since`. */
export const readEnded = (db: Database, since: Date): Promise<{ id: string; at: Date }[]> => db.$queryRaw`
  SELECT id, revoked_at AS at FROM sessions WHERE revoked_at > ${since}
  UNION ALL SELECT id, revoked_at FROM api_tokens WHERE revoked_at > ${since}`;

/** Notes when sessions were last used, in one statement. Whoever is being changed right now is left for the next time. */
export async function noteUses(db: Database, uses: readonly { id: string; at: Date }[]): Promise<void> {
  const [ids, times] = [uses.map(({ id }) => id), uses.map(({ at }) => at)];
  await db.$executeRaw`
    WITH used AS (SELECT * FROM unnest(${ids}::uuid[], ${times}::timestamptz[]) AS used (id, at)),
      free AS (SELECT s.id, used.at FROM sessions s JOIN used ON used.id = s.id WHERE s.last_used_at < used.at ORDER BY s.id FOR NO KEY UPDATE OF s SKIP LOCKED)
    UPDATE sessions s SET last_used_at = free.at FROM free WHERE s.id = free.id`;
}

/** Forgets the sessions whose lifetime is over: until then a refresh token that comes back is recognised. */
export async function forgetOldSessions(db: Database, at: Date): Promise<void> {
  await db.$executeRaw`DELETE FROM sessions s WHERE NOT EXISTS (SELECT 1 FROM refresh_tokens t WHERE t.session_id = s.id AND t.expires_at > ${at})`;
}
