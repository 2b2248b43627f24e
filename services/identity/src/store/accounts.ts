import { emit, setQuota } from '@novacron/operations';
import { DomainError, newId, type TenantId, type UserId } from '@novacron/core';
import type { Role, Viewer } from '@novacron/contracts';
import { requireMayChange, UNLIMITED, type Quota } from '../rules.ts';
import type { TenantRecord, UserRecord } from '../visibility.ts';
import { NEWCOMER, userRecord, USER_COLUMNS } from './records.ts';
import type { Database, Transaction } from './database.ts';

/** Every write about who there is and what they may do. An event is the last statement of its transaction. */

export interface NewUser {
  email: string;
  name: string;
  passwordHash: string;
  tenantId: TenantId;
  role: Role;
  at: Date;
}

/** ALREADY_EXISTS when the name is taken. */
export const createTenant = (db: Database, tenant: { name: string; quota: Quota; at: Date }): Promise<TenantRecord> =>
  db.$transaction((tx) => insertTenant(tx, tenant));

/** ALREADY_EXISTS when the address is taken, NOT_FOUND without such a tenant. */
export const createUser = (db: Database, user: NewUser): Promise<UserRecord> => db.$transaction((tx) => insertUser(tx, user));

/**
 * Gives a user a role in a tenant, in place of the one it had there. Repeating it changes nothing and says nothing.
 * NOT_FOUND without such a user or tenant; FORBIDDEN and INVALID_STATE as the rules say, exact under any race.
 */
export const assignRole = (
  db: Database,
  { userId, tenantId, role, viewer }: { userId: UserId; tenantId: TenantId; role: Role; viewer: Viewer },
): Promise<UserRecord> =>
  db.$transaction(async (tx) => {
    await tx.$queryRaw`SELECT 1 FROM users WHERE id = ${userId}::uuid FOR NO KEY UPDATE`;
    const user = await tx.user.findUnique({ where: { id: userId }, select: USER_COLUMNS });
    if (user === null) throw new DomainError('NOT_FOUND', 'There is no user with this id.', { field: 'userId' });
    await requireTenant(tx, tenantId);
    const from = user.roles.find((held) => held.tenantId === tenantId)?.role ?? null;
    const othersAdminister = from === 'platform_admin' ? await othersHoldPlatform(tx, userId, tenantId) : true;
    requireMayChange(viewer, { from, to: role, othersAdminister });
    if (from === role) return userRecord(user);
    await tx.roleAssignment.upsert({
      where: { userId_tenantId: { userId, tenantId } },
      create: { userId, tenantId, role },
      update: { role },
    });
    const changed = await tx.user.findUniqueOrThrow({ where: { id: userId }, select: USER_COLUMNS });
    await emit(tx, { type: 'user.access', tenantId, entityId: userId, after: {} });
    return userRecord(changed);
  });

/**
 * Makes the first tenant and the first administrator, together or not at all.
 *
 * @returns false when another process was quicker
 */
export async function createFirstAdministrator(db: Database, tenantName: string, user: Omit<NewUser, 'tenantId' | 'role'>): Promise<boolean> {
  try {
    await db.$transaction(async (tx) => {
      // The unique name makes a second process wait here for the first one's commit.
      const tenant = await insertTenant(tx, { name: tenantName, quota: UNLIMITED, at: user.at });
      await insertUser(tx, { ...user, tenantId: tenant.id, role: 'platform_admin' });
    });
    return true;
  } catch (error) {
    if (error instanceof DomainError && error.code === 'ALREADY_EXISTS') return false;
    throw error;
  }
}

async function insertTenant(tx: Transaction, { name, quota, at }: { name: string; quota: Quota; at: Date }): Promise<TenantRecord> {
  const tenant: TenantRecord = { id: newId(), name, createdAt: at };
  const { count } = await tx.tenant.createMany({ data: [tenant], skipDuplicates: true });
  if (count === 0) throw new DomainError('ALREADY_EXISTS', 'There is a tenant with this name.', { field: 'name' });
  await setQuota(tx, tenant.id, quota);
  return tenant;
}

async function insertUser(tx: Transaction, { tenantId, role, at, ...account }: NewUser): Promise<UserRecord> {
  await requireTenant(tx, tenantId);
  const { passwordHash, ...shown } = { ...NEWCOMER, id: newId<UserId>(), ...account, createdAt: at };
  const { count } = await tx.user.createMany({ data: [{ ...shown, passwordHash }], skipDuplicates: true });
  if (count === 0) throw new DomainError('ALREADY_EXISTS', 'There is a user with this e-mail address.', { field: 'email' });
  await tx.roleAssignment.create({ data: { userId: shown.id, tenantId, role } });
  await emit(tx, { type: 'user.access', tenantId, entityId: shown.id, after: {} });
  return { ...shown, roles: [{ role, tenantId }] };
}

async function requireTenant(tx: Transaction, tenantId: TenantId): Promise<void> {
  const tenant = await tx.tenant.findUnique({ where: { id: tenantId }, select: { id: true } });
  if (tenant === null) throw new DomainError('NOT_FOUND', 'There is no tenant with this id.', { field: 'tenantId' });
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
