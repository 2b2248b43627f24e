import { rowLoader, rowsLoader } from '@novacron/graphql';
import DataLoader from 'dataloader';
import type { Role } from '@novacron/contracts';
import type { TenantId, UserId } from '@novacron/core';
import { quotaOf, UNLIMITED, UNUSED, type TenantQuota } from '@novacron/operations';
import type { SshKeyRecord } from './machines/ssh-keys.ts';
import { API_TOKEN_COLUMNS, type ApiTokenRecord } from './store/api-tokens.ts';
import { tenantRecord, TENANT_COLUMNS, userRecord, USER_COLUMNS } from './store/records.ts';
import type { LastUse } from './sessions/last-use.ts';
import type { Database } from './store/database.ts';
import type { TenantRecord, UserRecord } from './visibility.ts';

export interface SessionRecord {
  id: string;
  createdAt: Date;
  lastUsedAt: Date;
  address: string | null;
  device: string | null;
}

/** Does a user have a second factor, and how many backup codes are left of it? */
export interface SecondFactorState {
  enabled: boolean;
  codesLeft: number;
}

/** One query per kind and request, whatever the number of objects. They check nothing: see visibility.ts. */
export interface Loaders {
  users: DataLoader<string, UserRecord | null>;
  tenants: DataLoader<string, TenantRecord | null>;
  quotas: DataLoader<TenantId, TenantQuota>;
  /** The live sessions of a user, the newest first. */
  sessions: DataLoader<UserId, SessionRecord[]>;
  /** Those that are not revoked, the newest first. */
  apiTokens: DataLoader<UserId, ApiTokenRecord[]>;
  /** The oldest first. */
  sshKeys: DataLoader<UserId, SshKeyRecord[]>;
  /** Those of a tenant, the oldest first. */
  serviceAccounts: DataLoader<TenantId, UserRecord[]>;
  secondFactors: DataLoader<UserId, SecondFactorState>;
  /** The roles that need a second factor in a tenant. */
  secondFactorRoles: DataLoader<TenantId, Role[]>;
}

const later = (one: Date, other: Date | undefined): Date => (other !== undefined && other > one ? other : one);

const NO_QUOTA: TenantQuota = { limits: UNLIMITED, used: UNUSED };

export function createLoaders(db: Database, sessionsSince: () => Date, lastUse: LastUse): Loaders {
  return {
    users: rowLoader(async (ids) => {
      const rows = await db.user.findMany({ where: { id: { in: ids } }, select: USER_COLUMNS });
      return rows.map(userRecord);
    }),
    tenants: rowLoader(async (ids) => {
      const rows = await db.tenant.findMany({ where: { id: { in: ids } }, select: TENANT_COLUMNS });
      return rows.map(tenantRecord);
    }),
    quotas: new DataLoader(async (ids) => {
      const quotas = await quotaOf(db, ids);
      return ids.map((id) => quotas.get(id) ?? NO_QUOTA);
    }),
    sessions: rowsLoader(
      async (ids) => {
        const rows = await db.session.findMany({ where: { userId: { in: ids }, revokedAt: null, createdAt: { gt: sessionsSince() } }, orderBy: { id: 'desc' } });
        const used = await lastUse.of(rows.map(({ id }) => id));
        return rows.map((row) => Object.assign(row, { lastUsedAt: later(row.lastUsedAt, used.get(row.id)) }));
      },
      (row) => row.userId,
    ),
    apiTokens: rowsLoader(
      (ids) => db.apiToken.findMany({ where: { userId: { in: ids }, revokedAt: null }, orderBy: { id: 'desc' }, select: API_TOKEN_COLUMNS }),
      (row) => row.userId,
    ),
    sshKeys: rowsLoader(
      (ids) => db.sshKey.findMany({ where: { userId: { in: ids } }, orderBy: { id: 'asc' } }),
      (row) => row.userId,
    ),
    serviceAccounts: new DataLoader(async (ids) => {
      const rows = await db.user.findMany({ where: { kind: 'service', roles: { some: { tenantId: { in: [...ids] } } } }, orderBy: { id: 'asc' }, select: USER_COLUMNS });
      const accounts = rows.map(userRecord);
      return ids.map((id) => accounts.filter(({ roles }) => roles.some(({ tenantId }) => tenantId === id)));
    }),
    secondFactors: new DataLoader(async (ids) => {
      const rows = await db.totp.findMany({
        where: { userId: { in: [...ids] }, confirmedAt: { not: null } },
        select: { userId: true, user: { select: { _count: { select: { backupCodes: { where: { usedAt: null } } } } } } },
      });
      const codesLeft = new Map(rows.map(({ userId, user }) => [userId, user._count.backupCodes]));
      return ids.map((id) => ({ enabled: codesLeft.has(id), codesLeft: codesLeft.get(id) ?? 0 }));
    }),
    secondFactorRoles: new DataLoader(async (ids) => {
      const rows = await db.tenant.findMany({ where: { id: { in: [...ids] } }, select: { id: true, secondFactorRoles: true } });
      const roles = new Map(rows.map(({ id, secondFactorRoles }) => [id, secondFactorRoles]));
      return ids.map((id) => roles.get(id) ?? []);
    }),
  };
}
