import type { Permission, Role, Viewer } from '@novacron/contracts';
import { DomainError, newId, type TenantId, type UserId } from '@novacron/core';
import { emit } from '@novacron/operations';
import type { Database, Transaction } from './database.ts';
import { requireOpen } from './sessions.ts';
import { IS_DEMANDED } from './demands.ts';

/** Every write about API tokens, and how one is found. */

export interface ApiTokenRecord {
  id: string;
  userId: string;
  name: string;
  prefix: string;
  scopes: string[];
  tenantId: string | null;
  addresses: string[];
  createdAt: Date;
  createdBy: string;
  expiresAt: Date | null;
  lastUsedAt: Date | null;
  lastUsedAddress: string | null;
}

/** What is read of a token: never its hash. */
export const API_TOKEN_COLUMNS = {
  id: true,
  userId: true,
  name: true,
  prefix: true,
  scopes: true,
  tenantId: true,
  addresses: true,
  createdAt: true,
  createdBy: true,
  expiresAt: true,
  lastUsedAt: true,
  lastUsedAddress: true,
} as const;

/** More than these nobody keeps apart. */
const MOST_PER_USER = 100;

export interface NewApiToken {
  userId: UserId;
  name: string;
  prefix: string;
  tokenHash: Buffer<ArrayBuffer>;
  scopes: Permission[];
  tenantId: TenantId | null;
  addresses: string[];
  createdAt: Date;
  createdBy: UserId;
  expiresAt: Date | null;
}

/** UNAUTHENTICATED for a maker whose session has ended, NOT_FOUND for an account that has, QUOTA_EXCEEDED when the user has as many as it can have. */
export const createApiToken = (
  db: Database,
  maker: Viewer,
  token: NewApiToken,
  tell: (tx: Transaction, maker: { name: string; email: string; emailClaimed: boolean }) => Promise<void>,
): Promise<ApiTokenRecord> =>
  db.$transaction(async (tx) => {
    const alive = await tx.$queryRaw<object[]>`SELECT FROM users WHERE id = ${token.userId}::uuid AND deactivated_at IS NULL AND deleted_at IS NULL FOR NO KEY UPDATE`;
    if (alive.length === 0) throw new DomainError('NOT_FOUND', 'There is no user with this id.', { field: 'userId' });
    await requireOpen(tx, maker);
    const { userId, createdAt } = token;
    const count = await tx.apiToken.count({ where: { userId, revokedAt: null, OR: [{ expiresAt: null }, { expiresAt: { gt: createdAt } }] } });
    if (count >= MOST_PER_USER) throw new DomainError('QUOTA_EXCEEDED', `A user has at most ${MOST_PER_USER} API tokens: revoke one first.`);
    await tell(tx, await tx.user.findUniqueOrThrow({ where: { id: maker.userId }, select: { name: true, email: true, emailClaimed: true } }));
    return tx.apiToken.create({ data: { id: newId(), ...token }, select: API_TOKEN_COLUMNS });
  });

/** Revoking it again changes nothing and says nothing. */
export const revokeApiToken = (db: Database, token: { id: string; userId: UserId }, at: Date): Promise<void> =>
  db.$transaction((tx) => revokeApiTokens(tx, token, at));

/** Revokes all tokens of a user, or one of them, with the transaction that has the reason for it. The last of its changes. */
export async function revokeApiTokens(tx: Transaction, { userId, id = null }: { userId: UserId; id?: string | null }, at: Date): Promise<void> {
  const rows = await tx.$queryRaw<{ id: string }[]>`
    SELECT id FROM api_tokens WHERE user_id = ${userId}::uuid AND revoked_at IS NULL AND (${id}::uuid IS NULL OR id = ${id}::uuid) ORDER BY id FOR UPDATE`;
  await tx.apiToken.updateMany({ where: { id: { in: rows.map((row) => row.id) } }, data: { revokedAt: at } });
  for (const row of rows) await emit(tx, { type: 'session.revoked', tenantId: null, entityId: row.id, after: { userId } });
}

interface PresentedRow {
  id: string;
  user_id: UserId;
  scopes: Permission[];
  tenant_id: TenantId | null;
  addresses: string[];
  created_at: Date;
  expires_at: Date | null;
  last_used_at: Date | null;
  must_change_password: boolean;
  has_second_factor: boolean;
  /** Does that role need a second factor there? */
  demanded: boolean;
  role: Role | null;
  held_in: TenantId | null;
}

/**
 * A token that has not been revoked, of an account that has not ended, with the roles of its user as they are now, and what that one
 * owes first: a role that needs a second factor is none before the person has one. Service accounts have no password that it would stand beside.
 */
export async function findPresented(db: Database, tokenHash: Buffer<ArrayBuffer>) {
  const rows = await db.$queryRaw<PresentedRow[]>`
    SELECT a.id, a.user_id, a.scopes, a.tenant_id, a.addresses, a.created_at, a.expires_at, a.last_used_at, u.must_change_password, r.role::text AS role, r.tenant_id AS held_in,
      u.kind <> 'person' OR EXISTS (SELECT FROM totp WHERE user_id = u.id AND confirmed_at IS NOT NULL) AS has_second_factor, ${IS_DEMANDED} AS demanded
    FROM api_tokens a JOIN users u ON u.id = a.user_id LEFT JOIN role_assignments r ON r.user_id = u.id LEFT JOIN tenants t ON t.id = r.tenant_id
    WHERE a.token_hash = ${tokenHash} AND a.revoked_at IS NULL AND u.deactivated_at IS NULL AND u.deleted_at IS NULL`;
  const [first] = rows;
  if (first === undefined) return null;
  const { role: _, held_in: __, demanded: ___, must_change_password: mustChangePassword, has_second_factor: hasSecondFactor, ...token } = first;
  const owes: Viewer['owes'] | null = mustChangePassword ? 'new_password' : !hasSecondFactor && rows.some(({ demanded }) => demanded) ? 'second_factor' : null;
  return { ...token, owes, roles: rows.flatMap(({ role, held_in: tenantId }) => (role === null || tenantId === null ? [] : [{ role, tenantId }])) };
}

/** Remembers a use, unless a later one was remembered. */
export async function recordUse(db: Database, id: string, { at, address }: { at: Date; address: string | null }): Promise<void> {
  await db.apiToken.updateMany({ where: { id, OR: [{ lastUsedAt: null }, { lastUsedAt: { lt: at } }] }, data: { lastUsedAt: at, lastUsedAddress: address } });
}
