import { readEntry, type AuditEntry, type Kind, type Outcome } from '@novacron/audit';
import { requirePermission, tenantsWith, type Viewer } from '@novacron/contracts';
import { DomainError } from '@novacron/core';
import { parsePage, toConnection, type Connection, type Page, type PageArguments } from '@novacron/graphql';
import { Prisma } from '../generated/prisma/client.ts';
import type { Database } from '../store/database.ts';

export interface AuditFilter {
  userId?: string | null | undefined;
  tenantId?: string | null | undefined;
  kind?: Kind | null | undefined;
  action?: string | null | undefined;
  outcomes?: readonly Outcome[] | null | undefined;
  targetId?: string | null | undefined;
  requestId?: string | null | undefined;
  address?: string | null | undefined;
  from?: Date | null | undefined;
  to?: Date | null | undefined;
}

/** An entry with its hash. */
export interface SeenEntry extends AuditEntry {
  hash: Buffer;
}

/** What was done in the tenants where the viewer holds audit:read, the newest first; everything for a platform administrator. FORBIDDEN. */
export async function listEntries(db: Database, someone: Viewer | null, args: PageArguments & { filter?: AuditFilter | null | undefined }): Promise<Connection<SeenEntry>> {
  const viewer = requirePermission(someone, 'audit:read');
  const page = parsePage(args);
  const tenants = tenantsWith(viewer, 'audit:read');
  const where = conditions(tenants, args.filter ?? {});
  const rows = await db.$queryRaw<{ content: string; hash: Uint8Array }[]>`
    SELECT content, hash FROM operations.audit_log WHERE ${Prisma.join([...where, ...after(page)], ' AND ')}
    ORDER BY position ${page.backwards ? Prisma.sql`ASC` : Prisma.sql`DESC`} LIMIT ${page.limit + 1}`;
  const entries = rows.map(({ content, hash }) => seenEntry(readEntry(content), hash, tenants));
  return toConnection(entries, page, ({ position }) => [String(position)], () => count(db, where));
}

async function count(db: Database, where: Prisma.Sql[]): Promise<number> {
  const [row] = await db.$queryRaw<{ count: bigint }[]>`SELECT count(*) AS count FROM operations.audit_log WHERE ${Prisma.join(where, ' AND ')}`;
  return Number(row?.count ?? 0);
}

/** What somebody is in tenants that the viewer may not read is not the viewer's to know. */
function seenEntry(entry: AuditEntry, hash: Uint8Array, tenants: ReturnType<typeof tenantsWith>): SeenEntry {
  const { roles } = entry;
  return { ...entry, hash: Buffer.from(hash), roles: tenants === 'all' || roles === null ? roles : roles.filter(({ tenantId }) => tenants.includes(tenantId)) };
}

function conditions(tenants: ReturnType<typeof tenantsWith>, { userId, tenantId, kind, action, outcomes, targetId, requestId, address, from, to }: AuditFilter): Prisma.Sql[] {
  const id = (value: string): string => value.toLowerCase();
  return [
    tenants === 'all' ? Prisma.sql`true` : Prisma.sql`tenant_id = ANY(${tenants as string[]})`,
    ...(userId == null ? [] : [Prisma.sql`user_id = ${id(userId)}`]),
    ...(tenantId == null ? [] : [Prisma.sql`tenant_id = ${id(tenantId)}`]),
    ...(kind == null ? [] : [Prisma.sql`content::jsonb ->> 'kind' = ${kind}`]),
    ...(action == null ? [] : [Prisma.sql`action = ${action}`]),
    ...(outcomes == null ? [] : [Prisma.sql`outcome = ANY(${[...outcomes]})`]),
    ...(targetId == null ? [] : [Prisma.sql`target_id = ${id(targetId)}`]),
    ...(requestId == null ? [] : [Prisma.sql`request_id = ${requestId}`]),
    ...(address == null ? [] : [Prisma.sql`content::jsonb ->> 'address' = ${address}`]),
    ...(from == null ? [] : [Prisma.sql`at >= ${from}`]),
    ...(to == null ? [] : [Prisma.sql`at < ${to}`]),
  ];
}

function after({ cursor, backwards }: Page): Prisma.Sql[] {
  const text = cursor?.[0];
  if (text === undefined) return [];
  if (!/^\d{1,15}$/.test(text)) {
    const field = backwards ? 'before' : 'after';
    throw new DomainError('BAD_USER_INPUT', `"${field}" is no cursor of this list.`, { field });
  }
  return [backwards ? Prisma.sql`position > ${BigInt(text)}` : Prisma.sql`position < ${BigInt(text)}`];
}
