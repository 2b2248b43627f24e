import type { TenantId } from '@novacron/core';
import { inTransaction } from '@novacron/database';
import { quotasNearEnd, type NearEnd } from '@novacron/operations';
import type { Logger } from 'pino';
import type { Mailbox } from './mail/mailbox.ts';
import type { Database, Transaction } from './store/database.ts';

/** Administrators are told at this share of a quota, and again only once less than the second was used in between. */
const WARN_AT = 0.9;
const FORGET_BELOW = 0.8;

const NOUNS: Record<NearEnd['resource'], string> = { vms: 'VMs', vcpus: 'Virtual CPUs', memory: 'Memory', storage: 'Storage', snapshots: 'Snapshots', networks: 'Networks' };
const MIB = 2 ** 20;
const amount = (resource: NearEnd['resource'], value: number): string =>
  resource === 'memory' || resource === 'storage' ? `${Math.round(value / MIB).toLocaleString('en')} MiB` : value.toLocaleString('en');

interface QuotaWatchOptions {
  db: Database;
  mailbox: Mailbox;
  now: () => Date;
  logger: Logger;
}

/** Looks once at all quotas, and tells administrators of those that are nearly used up: each once, in however many processes. Does not fail. */
export function createQuotaWatch({ db, mailbox, now, logger }: QuotaWatchOptions): () => Promise<void> {
  return async () => {
    try {
      await inTransaction(db, async (tx: Transaction) => {
        await forget(tx, await quotasNearEnd(tx, FORGET_BELOW));
        for (const one of await remember(tx, await quotasNearEnd(tx, WARN_AT), now())) await tell(tx, one);
      });
    } catch (error) {
      logger.warn({ err: error }, 'quotas could not be looked at');
    }
  };

  async function tell(tx: Transaction, { tenantId, resource, used, limit }: NearEnd): Promise<void> {
    const tenant = await tx.tenant.findUniqueOrThrow({ where: { id: tenantId }, select: { name: true } });
    const administrators = await tx.user.findMany({
      where: { kind: 'person', emailClaimed: true, deactivatedAt: null, deletedAt: null, roles: { some: { tenantId, role: { in: ['tenant_admin', 'platform_admin'] } } } },
      select: { id: true, email: true, name: true },
      orderBy: { id: 'asc' },
    });
    const content = { tenant: tenant.name, resource: NOUNS[resource], used: amount(resource, used), limit: amount(resource, limit) };
    for (const { id, email, name } of administrators) {
      await mailbox.post(tx, { kind: 'quota_near_end', recipient: email, userId: id, tenantId, content: { name, ...content } }, now());
    }
    logger.info({ tenantId, resource, used, limit, told: administrators.length }, 'quota nearly used up');
  }
}

const keysOf = (near: readonly NearEnd[]): [tenants: TenantId[], resources: string[]] => [near.map(({ tenantId }) => tenantId), near.map(({ resource }) => resource)];

/** Drops what was said of quotas that are not nearly used up any more. */
async function forget(tx: Transaction, near: readonly NearEnd[]): Promise<void> {
  const [tenants, resources] = keysOf(near);
  await tx.$executeRaw`DELETE FROM quota_warnings WHERE (tenant_id, resource) NOT IN (SELECT * FROM unnest(${tenants}::uuid[], ${resources}::text[]))`;
}

/** Those of which nothing has been said yet, in whatever process: from now on it has. In one order, so that two processes never wait for each other. */
async function remember(tx: Transaction, near: readonly NearEnd[], at: Date): Promise<NearEnd[]> {
  const [tenants, resources] = keysOf(near);
  const fresh = await tx.$queryRaw<{ tenant_id: TenantId; resource: string }[]>`
    INSERT INTO quota_warnings (tenant_id, resource, warned_at)
    SELECT t.id, n.resource, ${at} FROM unnest(${tenants}::uuid[], ${resources}::text[]) AS n(tenant_id, resource) JOIN tenants t ON t.id = n.tenant_id
    ORDER BY t.id, n.resource ON CONFLICT DO NOTHING RETURNING tenant_id, resource`;
  return near.filter((one) => fresh.some((row) => row.tenant_id === one.tenantId && row.resource === one.resource));
}
