import { orTaken } from '@novacron/database';
import { emit, setQuota, UNLIMITED, type Limits } from '@novacron/operations';
import { DomainError, newId, type TenantId, type UserId } from '@novacron/core';
import type { Role } from '@novacron/contracts';
import type { TenantRecord, UserRecord } from '../visibility.ts';
import { lockAddress } from './claims.ts';
import { NEWCOMER, tenantRecord, TENANT_COLUMNS } from './records.ts';
import { requireTenant, setRole } from './roles.ts';
import type { Database, Transaction } from './database.ts';

/** Every write about who there is and what they may do. An event is the last statement of its transaction. */

export interface NewUser {
  email: string;
  name: string;
  passwordHash: string;
  tenantId: TenantId;
  role: Role;
  /** Who makes it; null: nobody was there yet. */
  by: UserId | null;
  at: Date;
}

/** ALREADY_EXISTS when the name is taken. */
export const createTenant = (db: Database, tenant: { name: string; quota: Partial<Limits>; at: Date }): Promise<TenantRecord> =>
  db.$transaction((tx) => insertTenant(tx, tenant));

/** What it is called, and the limits that are named. NOT_FOUND without such a tenant, ALREADY_EXISTS when the name is taken. */
export const updateTenant = (db: Database, id: TenantId, { name, quota }: { name?: string; quota: Partial<Limits> }): Promise<TenantRecord> =>
  db.$transaction(async (tx) => {
    await requireTenant(tx, id);
    const data = name === undefined ? {} : { name };
    const tenant = await tx.tenant.update({ where: { id }, data, select: TENANT_COLUMNS }).catch((error: unknown) => {
      throw orTaken(error, 'name', 'There is a tenant with this name.');
    });
    await setQuota(tx, id, quota);
    return tenantRecord(tenant);
  });

/** ALREADY_EXISTS when the address is taken, NOT_FOUND without such a tenant. */
export const createUser = (db: Database, user: NewUser): Promise<UserRecord> => db.$transaction((tx) => insertUser(tx, user));

/**
 * Makes the first tenant and the first administrator, together or not at all.
 *
 * @returns false when another process was quicker
 */
export async function createFirstAdministrator(db: Database, tenantName: string, user: Omit<NewUser, 'tenantId' | 'role' | 'by'>): Promise<boolean> {
  try {
    await db.$transaction(async (tx) => {
      // The unique name makes a second process wait here for the first one's commit.
      const tenant = await insertTenant(tx, { name: tenantName, quota: UNLIMITED, at: user.at });
      await insertUser(tx, { ...user, tenantId: tenant.id, role: 'platform_admin', by: null });
    });
    return true;
  } catch (error) {
    if (error instanceof DomainError && error.code === 'ALREADY_EXISTS') return false;
    throw error;
  }
}

async function insertTenant(tx: Transaction, { name, quota, at }: { name: string; quota: Partial<Limits>; at: Date }): Promise<TenantRecord> {
  const tenant: TenantRecord = { id: newId(), name, createdAt: at };
  const { count } = await tx.tenant.createMany({ data: [tenant], skipDuplicates: true });
  if (count === 0) throw new DomainError('ALREADY_EXISTS', 'There is a tenant with this name.', { field: 'name' });
  await setQuota(tx, tenant.id, quota);
  return tenant;
}

async function insertUser(tx: Transaction, { tenantId, role, by, at, ...account }: NewUser): Promise<UserRecord> {
  await lockAddress(tx, account.email);
  await requireTenant(tx, tenantId);
  const { passwordHash, ...shown } = { ...NEWCOMER, id: newId<UserId>(), ...account, createdAt: at };
  const { count } = await tx.user.createMany({ data: [{ ...shown, passwordHash }], skipDuplicates: true });
  if (count === 0) throw new DomainError('ALREADY_EXISTS', 'There is a user with this e-mail address.', { field: 'email' });
  await setRole(tx, { userId: shown.id, tenantId, from: null, to: role, by, at });
  await emit(tx, { type: 'user.access', tenantId, entityId: shown.id, after: {} });
  return { ...shown, roles: [{ role, tenantId }] };
}
