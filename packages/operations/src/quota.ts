import type { TenantId } from '@novacron/core';
import { mapped } from './database-errors.ts';
import { perform, type Sql } from './kernel.ts';

/** What tenants use, and may be limited in. Memory and storage are in bytes. */
export const QUOTA_RESOURCES = ['vms', 'vcpus', 'memory', 'storage', 'snapshots', 'networks', 'operationsInFlight'] as const;
export type QuotaResource = (typeof QUOTA_RESOURCES)[number];

export type Resources = Record<QuotaResource, number>;
/** Null: without limit. */
export type Limits = Record<QuotaResource, number | null>;

export const UNLIMITED: Limits = { vms: null, vcpus: null, memory: null, storage: null, snapshots: null, networks: null, operationsInFlight: null };
export const UNUSED: Resources = { vms: 0, vcpus: 0, memory: 0, storage: 0, snapshots: 0, networks: 0, operationsInFlight: 0 };

/** What is charged when it begins and given back when it ends; operations in flight are counted by `submit` itself. */
export type Charge = Partial<Omit<Resources, 'operationsInFlight'>>;

/**
 * Adds to what a tenant uses; negative numbers give back. QUOTA_EXCEEDED when it would be too much, with this field or the resource's own;
 * NOT_FOUND (tenantId). After what a service locks of its own, and before a host's room is claimed.
 */
export const chargeQuota = (sql: Sql, tenantId: TenantId, delta: Charge, field?: string): Promise<void> =>
  perform(sql, 'charge_quota($1::uuid, $2::jsonb, $3)', tenantId, JSON.stringify(delta), field ?? null);

/** Sets what a tenant may use; null is without limit, and what is left out stays. */
export const setQuota = (sql: Sql, tenantId: TenantId, limits: Partial<Limits>): Promise<void> =>
  perform(sql, 'set_quota($1::uuid, $2::jsonb)', tenantId, JSON.stringify(limits));

/** QUOTA_EXCEEDED where the tenant has as many operations in flight as it may: what `submit` would say now. */
export const requireRoomInFlight = (sql: Sql, tenantId: TenantId): Promise<void> => perform(sql, 'require_room_in_flight($1::uuid, 1)', tenantId);

export interface TenantQuota {
  limits: Limits;
  used: Resources;
}

/** What tenants may use and do use. A tenant without a row has no limit and uses nothing. */
export async function quotaOf(sql: Sql, tenantIds: readonly TenantId[]): Promise<Map<TenantId, TenantQuota>> {
  const rows = await mapped(sql.$queryRawUnsafe<(TenantQuota & { tenant_id: TenantId })[]>('SELECT * FROM operations.quota_of($1::uuid[])', tenantIds));
  return new Map(rows.map(({ tenant_id: id, limits, used }) => [id, { limits, used }]));
}

/** What tenants use. */
export const quotaUsage = async (sql: Sql, tenantIds: readonly TenantId[]): Promise<Map<TenantId, Resources>> =>
  new Map([...(await quotaOf(sql, tenantIds))].map(([id, quota]) => [id, quota.used]));

export interface NearEnd {
  tenantId: TenantId;
  resource: keyof Charge;
  used: number;
  limit: number;
}

/** Limits of which this share is used, or more. */
export async function quotasNearEnd(sql: Sql, share: number): Promise<NearEnd[]> {
  interface Row {
    tenant_id: TenantId;
    resource: keyof Charge;
    used: bigint;
    most: bigint;
  }
  const rows = await mapped(sql.$queryRawUnsafe<Row[]>('SELECT * FROM operations.quotas_near_end($1::float8)', share));
  return rows.map((row) => ({ tenantId: row.tenant_id, resource: row.resource, used: Number(row.used), limit: Number(row.most) }));
}
