import { inTransaction } from '@novacron/database';
import { emit } from '@novacron/operations';
import { DomainError, newId, type TenantId, type UserId } from '@novacron/core';
import type { Role, Viewer } from '@novacron/contracts';
import { requireMayChange } from '../rules.ts';
import type { UserRecord } from '../visibility.ts';
import { claimIfFree, lockAddress } from './claims.ts';
import { userRecord, USER_COLUMNS } from './records.ts';
import type { Database, Transaction } from './database.ts';

/** Every write about what users are in tenants. An event is the last statement of its transaction. */

interface Membership {
  userId: UserId;
  tenantId: TenantId;
}

const unknownUser = () => new DomainError('NOT_FOUND', 'There is no user with this id.', { field: 'userId' });

export async function lockUser(tx: Transaction, userId: UserId): Promise<UserRecord | null> {
  await tx.$queryRaw`SELECT 1 FROM users WHERE id = ${userId}::uuid FOR NO KEY UPDATE`;
  const row = await tx.user.findUnique({ where: { id: userId }, select: USER_COLUMNS });
  return row === null ? null : userRecord(row);
}

/**
 * Gives a user a role in a tenant, in place of the one it had there. Repeating it changes nothing and says nothing.
 * NOT_FOUND without such a user or tenant; FORBIDDEN and INVALID_STATE as the rules say, exact under any race.
 */
export const assignRole = (db: Database, { userId, tenantId, role, viewer, at }: Membership & { role: Role; viewer: Viewer; at: Date }): Promise<UserRecord> =>
  inTransaction(db, async (tx) => {
    const named = await tx.user.findUnique({ where: { id: userId }, select: { email: true } });
    if (named !== null) await lockAddress(tx, named.email);
    const user = await lockUser(tx, userId);
    if (user === null || user.deletedAt !== null) throw unknownUser();
    await requireTenant(tx, tenantId);
    const from = await requireMayReplace(tx, user, { tenantId, to: role, viewer });
    if (from === role) return user;
    await setRole(tx, { userId, tenantId, from, to: role, by: viewer.userId, at });
    if (user.invitedAt === null && user.kind === 'person') await claimIfFree(tx, { userId, email: user.email });
    const changed = await tx.user.findUniqueOrThrow({ where: { id: userId }, select: USER_COLUMNS });
    await emit(tx, { type: 'user.access', tenantId, entityId: userId, after: {} });
    return userRecord(changed);
  });

/**
 * Takes the role in a tenant away. Somebody who was only invited there was never anybody: it goes altogether. NOT_FOUND for who is
 * no member; FORBIDDEN and INVALID_STATE as above.
 *
 * @returns what the user was
 */
export const removeRole = (db: Database, { userId, tenantId, viewer, at }: Membership & { viewer: Viewer; at: Date }): Promise<Role> =>
  inTransaction(db, async (tx) => {
    const user = await lockUser(tx, userId);
    if (user === null) throw unknownUser();
    const from = await requireMayReplace(tx, user, { tenantId, to: null, viewer });
    if (from === null) throw unknownUser();
    await setRole(tx, { userId, tenantId, from, to: null, by: viewer.userId, at });
    if (user.invitedAt !== null && user.roles.length === 1) await tx.user.delete({ where: { id: userId } });
    await emit(tx, { type: 'user.access', tenantId, entityId: userId, after: {} });
    return from;
  });

export async function requireMayReplace(tx: Transaction, user: UserRecord, { tenantId, to, viewer }: { tenantId: TenantId; to: Role | null; viewer: Viewer }): Promise<Role | null> {
  const from = user.roles.find((held) => held.tenantId === tenantId)?.role ?? null;
  const othersAdminister = from === 'platform_admin' ? await othersHoldPlatform(tx, user.id, tenantId) : true;
  requireMayChange(viewer, { from, to, othersAdminister });
  return from;
}

/** The one writer of roles: what the user is in the tenant from now on, and that it was changed, by whom. */
export async function setRole(
  tx: Transaction,
  { userId, tenantId, from, to, by, at }: Membership & { from: Role | null; to: Role | null; by: UserId | null; at: Date },
): Promise<void> {
  const where = { userId_tenantId: { userId, tenantId } };
  if (to === null) await tx.roleAssignment.delete({ where });
  else {
    const held = { role: to, changedAt: at, changedBy: by };
    await tx.roleAssignment.upsert({ where, create: { userId, tenantId, ...held }, update: held });
  }
  await tx.roleChange.create({ data: { id: newId(), userId, tenantId, before: from, after: to, at, by } });
}

/** @returns its name */
export async function requireTenant(tx: Transaction, tenantId: TenantId): Promise<string> {
  const tenant = await tx.tenant.findUnique({ where: { id: tenantId }, select: { name: true } });
  if (tenant === null) throw new DomainError('NOT_FOUND', 'There is no tenant with this id.', { field: 'tenantId' });
  return tenant.name;
}

/**
 * Would somebody who can sign in still administer the platform, were this role taken away (without a tenant: all roles of
 * the user)? Asked by one transaction after the other: of two administrators who leave at once one comes too late.
 */
export async function othersHoldPlatform(tx: Transaction, userId: UserId, tenantId?: TenantId): Promise<boolean> {
  await tx.$executeRaw`SELECT pg_advisory_xact_lock(hashtextextended('identity: platform administrators', 0))`;
  const held = await tx.roleAssignment.findMany({
    where: { role: 'platform_admin', user: { kind: 'person', deactivatedAt: null, invitedAt: null } },
    select: { userId: true, tenantId: true },
  });
  return held.some((other) => other.userId !== userId || (tenantId !== undefined && other.tenantId !== tenantId));
}
