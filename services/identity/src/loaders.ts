import { rowLoader, rowsLoader } from '@novacron/graphql';
import DataLoader from 'dataloader';
import type { TenantId, UserId } from '@novacron/core';
import { quotaOf, type TenantQuota } from '@novacron/operations';
import { UNLIMITED } from './rules.ts';
import { tenantRecord, TENANT_COLUMNS, userRecord, USER_COLUMNS } from './store/records.ts';
import type { Database } from './store/database.ts';
import type { TenantRecord, UserRecord } from './visibility.ts';

export interface SessionRecord {
  id: string;
  createdAt: Date;
  lastUsedAt: Date;
  address: string | null;
  device: string | null;
}

/** One query per kind and request, whatever the number of objects. They check nothing: see visibility.ts. */
export interface Loaders {
  users: DataLoader<string, UserRecord | null>;
  tenants: DataLoader<string, TenantRecord | null>;
  quotas: DataLoader<TenantId, TenantQuota>;
  /** The live sessions of a user, the newest first. */
  sessions: DataLoader<UserId, SessionRecord[]>;
}

const NO_QUOTA: TenantQuota = { limits: UNLIMITED, used: { vms: 0, vcpus: 0, memory: 0 } };

export function createLoaders(db: Database, sessionsSince: () => Date): Loaders {
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
      (ids) => db.session.findMany({ where: { userId: { in: ids }, revokedAt: null, createdAt: { gt: sessionsSince() } }, orderBy: { id: 'desc' } }),
      (row) => row.userId,
    ),
  };
}
