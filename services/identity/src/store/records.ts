import type { Role } from '@novacron/contracts';
import type { TenantId, UserId } from '@novacron/core';
import type { TenantRecord, UserRecord } from '../visibility.ts';

/** What is read of a user: never its password. */
export const USER_COLUMNS = {
  id: true,
  email: true,
  name: true,
  emailVerified: true,
  username: true,
  kind: true,
  createdAt: true,
  invitedAt: true,
  deactivatedAt: true,
  deletedAt: true,
  roles: { select: { role: true, tenantId: true }, orderBy: { tenantId: 'asc' } },
} as const;

/** What nobody has yet whose account is new. */
export const NEWCOMER = { emailVerified: false, username: null, kind: 'person', invitedAt: null, deactivatedAt: null, deletedAt: null } as const;

export const TENANT_COLUMNS = { id: true, name: true, createdAt: true } as const;

interface UserRow extends Omit<UserRecord, 'id' | 'roles'> {
  id: string;
  roles: { role: Role; tenantId: string }[];
}

// Ids leave the tables here: the brands exist only for the compiler.
export const userRecord = (row: UserRow): UserRecord => ({
  ...row,
  id: row.id as UserId,
  roles: row.roles.map(({ role, tenantId }) => ({ role, tenantId: tenantId as TenantId })),
});

export const tenantRecord = (row: Omit<TenantRecord, 'id'> & { id: string }): TenantRecord => ({ ...row, id: row.id as TenantId });
