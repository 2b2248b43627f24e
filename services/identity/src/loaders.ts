import DataLoader from 'dataloader';
import { isId, type TenantId, type UserId } from '@novacron/core';
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
    users: byIdLoader(async (ids) => {
      const rows = await db.user.findMany({ where: { id: { in: ids } }, select: USER_COLUMNS });
      return rows.map(userRecord);
    }),
    tenants: byIdLoader(async (ids) => {
      const rows = await db.tenant.findMany({ where: { id: { in: ids } }, select: TENANT_COLUMNS });
      return rows.map(tenantRecord);
    }),
    quotas: new DataLoader(async (ids) => {
      const quotas = await quotaOf(db, ids);
      return ids.map((id) => quotas.get(id) ?? NO_QUOTA);
    }),
    sessions: new DataLoader(async (userIds) => {
      const rows = await db.session.findMany({
        where: { userId: { in: [...userIds] }, revokedAt: null, createdAt: { gt: sessionsSince() } },
        orderBy: { id: 'desc' },
      });
      const byUser = Map.groupBy(rows, (row) => row.userId);
      return userIds.map((id) => byUser.get(id) ?? []);
    }),
  };
}

/** What is no id is not asked for: PostgreSQL would refuse the whole query. */
function byIdLoader<Row extends { id: string }>(read: (ids: string[]) => Promise<Row[]>): DataLoader<string, Row | null> {
  return new DataLoader(
    async (ids) => {
      const asked = ids.filter(isId);
      const rows = asked.length === 0 ? [] : await read(asked);
      const byId = new Map(rows.map((row) => [row.id, row]));
      return ids.map((id) => byId.get(id) ?? null);
    },
    { cacheKeyFn: (id) => id },
  );
}
