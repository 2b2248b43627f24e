import { requireViewer, tenantsWith, type Role, type Viewer } from '@novacron/contracts';
import type { SessionId, TenantId, UserId } from '@novacron/core';
import { byId, containing, equalsId, parsePage, toConnection, type Connection, type PageArguments } from '@novacron/graphql';
import { normalizeEmail, normalizeUsername, parseRole, parseSearch } from './rules.ts';
import type { Prisma } from './generated/prisma/client.ts';
import type { UserState } from './people/rules.ts';
import { tenantRecord, TENANT_COLUMNS, userRecord, USER_COLUMNS } from './store/records.ts';
import type { Database, Transaction } from './store/database.ts';
import { IS_DEMANDED } from './store/demands.ts';
import type { TenantRecord, UserView } from './visibility.ts';

/** What is read in lists and by keys other than an id; by id, see loaders.ts. */

export interface UserFilter {
  search?: string | null | undefined;
  tenantId?: string | null | undefined;
  role?: string | null | undefined;
  state?: UserState | null | undefined;
  emailVerified?: boolean | null | undefined;
}

/** Oneself, and the users of the tenants where the viewer holds user:read. */
export async function listUsers(db: Database, someone: Viewer | null, args: PageArguments & { filter?: UserFilter | null | undefined }): Promise<Connection<UserView>> {
  const viewer = requireViewer(someone);
  const page = parsePage(args);
  const where = { AND: [usersIn(viewer, args.filter ?? {}), found(args.filter ?? {})] };
  const range = byId(page);
  const rows = await db.user.findMany({ ...range, where: { AND: [where, range.where] }, select: USER_COLUMNS });
  const views = rows.map((row) => ({ user: userRecord(row), viewer }));
  return toConnection(views, page, (view) => [view.user.id], () => db.user.count({ where }));
}

/** Whom the viewer may list, by what they are where: a role in a tenant that the viewer may not read finds nobody but itself. */
function usersIn(viewer: Viewer, { tenantId, role }: UserFilter): Prisma.UserWhereInput {
  const tenants = tenantsWith(viewer, 'user:read');
  const held = {
    ...(tenantId == null ? {} : { tenantId: equalsId(tenantId) }),
    ...(role == null ? {} : { role: parseRole(role, 'filter.role') }),
  };
  const named = Object.keys(held).length === 0 ? {} : { roles: { some: held } };
  if (tenants === 'all') return named;
  return { OR: [{ AND: [{ id: viewer.userId }, named] }, { roles: { some: { AND: [{ tenantId: { in: tenants as string[] } }, held] } } }] };
}

const IN_STATE = {
  ACTIVE: { invitedAt: null, deactivatedAt: null },
  INVITED: { invitedAt: { not: null }, deactivatedAt: null },
  DEACTIVATED: { deactivatedAt: { not: null }, deletedAt: null },
  DELETED: { deletedAt: { not: null } },
} as const satisfies Record<UserState, Prisma.UserWhereInput>;

/** Who is deleted is found only by those who ask for it. */
function found({ search: text, state, emailVerified }: UserFilter): Prisma.UserWhereInput {
  const search = parseSearch(text);
  return {
    ...(state == null ? { deletedAt: null } : IN_STATE[state]),
    ...(emailVerified == null ? {} : { emailVerified }),
    ...(search === null ? {} : { OR: [{ name: containing(search) }, { email: containing(search) }, { username: containing(search) }] }),
  };
}

/** The tenants in which the viewer holds tenant:read, as every role does; all of them for a platform administrator. */
export async function listTenants(db: Database, someone: Viewer | null, args: PageArguments): Promise<Connection<TenantRecord>> {
  const viewer = requireViewer(someone);
  const page = parsePage(args);
  const tenants = tenantsWith(viewer, 'tenant:read');
  const where = tenants === 'all' ? {} : { id: { in: tenants as string[] } };
  const range = byId(page);
  const rows = await db.tenant.findMany({ ...range, where: { AND: [where, range.where] }, select: TENANT_COLUMNS });
  return toConnection(rows.map(tenantRecord), page, (tenant) => [tenant.id], () => db.tenant.count({ where }));
}

const PERSON = { kind: 'person', invitedAt: null, deletedAt: null } as const;
const WITH_PASSWORD = { ...USER_COLUMNS, emailClaimed: true, passwordHash: true, passwordChangedAt: true } as const;

/** The accounts that somebody may mean who types this, with their password hashes: for signing in alone. */
export interface Candidates {
  /** Whose user name it is, or whose address. */
  owner: AccountWithPassword | null;
  /** Of those who registered themselves with this address, and have not shown yet that they read mail there, the last one. */
  waiting: AccountWithPassword | null;
}

export type AccountWithPassword = NonNullable<Awaited<ReturnType<typeof findOwner>>>;

const findOwner = (db: Database, where: { email: string; emailClaimed: true } | { username: string }) =>
  db.user.findFirst({ where: { ...where, ...PERSON }, select: WITH_PASSWORD });

/** The same queries whatever there is. Deactivated ones are among them. */
export async function findCandidates(db: Database, login: string): Promise<Candidates> {
  const [email, username] = [normalizeEmail(login) ?? '', normalizeUsername(login) ?? ''];
  const [owner, waiting] = await Promise.all([
    findOwner(db, username === '' ? { email, emailClaimed: true } : { username }),
    db.user.findFirst({ where: { email, emailClaimed: false, ...PERSON }, orderBy: { createdAt: 'desc' }, select: WITH_PASSWORD }),
  ]);
  return { owner, waiting };
}

/** Whose the address is, else who waits for it and came last. */
export const findByAddress = (sql: Database | Transaction, email: string) =>
  sql.user.findFirst({
    where: { email, ...PERSON },
    orderBy: [{ emailClaimed: 'desc' }, { createdAt: 'desc' }],
    select: { id: true, name: true, deactivatedAt: true },
  });

export const hasUsers = async (db: Database): Promise<boolean> => (await db.user.findFirst({ select: { id: true } })) !== null;

interface ViewerRow {
  role: Role | null;
  tenant_id: TenantId | null;
  must_change_password: boolean;
  second_factor: boolean;
  /** Does that role need a second factor there? */
  demanded: boolean;
}

/**
 * Who a session stands for, with the roles it has now, in one query; null once the session or the account has ended. Who
 * owes something has no roles until it is done.
 */
export async function findViewer(db: Database, { userId, sessionId }: { userId: UserId; sessionId: SessionId }): Promise<Viewer | null> {
  const rows = await db.$queryRaw<ViewerRow[]>`
    SELECT r.role::text AS role, r.tenant_id, u.must_change_password, s.second_factor, ${IS_DEMANDED} AS demanded
    FROM sessions s JOIN users u ON u.id = s.user_id
      LEFT JOIN role_assignments r ON r.user_id = u.id LEFT JOIN tenants t ON t.id = r.tenant_id
    WHERE s.id = ${sessionId}::uuid AND u.id = ${userId}::uuid AND s.revoked_at IS NULL AND u.deactivated_at IS NULL`;
  const [first] = rows;
  if (first === undefined) return null;
  const owes = first.must_change_password ? 'new_password' : !first.second_factor && rows.some(({ demanded }) => demanded) ? 'second_factor' : null;
  if (owes !== null) return { userId, sessionId, roles: [], owes };
  const roles = rows.flatMap(({ role, tenant_id: tenantId }) => (role === null || tenantId === null ? [] : [{ role, tenantId }]));
  return { userId, sessionId, roles };
}
