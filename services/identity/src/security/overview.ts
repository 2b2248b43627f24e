import { can, requireInTenant, requirePermission, tenantsWith, type Role, type Viewer } from '@novacron/contracts';
import { DomainError, parseId, type TenantId } from '@novacron/core';
import { byId, byIdDescending, cursorId, parsePage, toConnection, type Connection, type PageArguments } from '@novacron/graphql';
import { Prisma } from '../generated/prisma/client.ts';
import { API_TOKEN_COLUMNS, type ApiTokenRecord } from '../store/api-tokens.ts';
import type { Database } from '../store/database.ts';
import { userRecord, USER_COLUMNS } from '../store/records.ts';
import type { UserView } from '../visibility.ts';

/** What there is to see at a glance: of these tenants, or of everything. */
export interface SecurityScope {
  viewer: Viewer;
  tenants: readonly TenantId[] | 'all';
}

export interface FailedLoginRecord {
  id: string;
  userId: string | null;
  outcome: 'wrong_password' | 'wrong_code' | 'locked' | 'deactivated' | 'token_reused';
  address: string | null;
  device: string | null;
  known: boolean;
  at: Date;
}

export interface LockedAccountRecord {
  userId: string;
  refused: number;
  lastAt: Date;
}

export interface RoleChangeRecord {
  id: string;
  userId: string;
  tenantId: string;
  before: Role | null;
  after: Role | null;
  at: Date;
  by: string | null;
}

export interface SigningKeyRecord {
  kid: string;
  algorithm: string;
  createdAt: Date;
  retiredAt: Date | null;
}

/** What administrators look at. All of it is read when it is asked for. */
export interface SecurityOverview {
  /** UNAUTHENTICATED, FORBIDDEN, NOT_FOUND (a foreign tenant). */
  scope(viewer: Viewer | null, tenantId: string | null | undefined): SecurityScope;
  failedLogins(scope: SecurityScope, args: PageArguments): Promise<Connection<FailedLoginRecord>>;
  /** Those that were refused unread in the last hour, the most often refused first; 100 at most. */
  lockedAccounts(scope: SecurityScope): Promise<LockedAccountRecord[]>;
  usersWithoutSecondFactor(scope: SecurityScope, args: PageArguments): Promise<Connection<UserView>>;
  /** Those that end within so many days, the next one first. BAD_USER_INPUT. */
  expiringTokens(scope: SecurityScope, withinDays: number, first: number): Promise<ApiTokenRecord[]>;
  roleChanges(scope: SecurityScope, args: PageArguments): Promise<Connection<RoleChangeRecord>>;
  /** Null to who does not administer the platform. */
  signingKeys(scope: SecurityScope): Promise<SigningKeyRecord[] | null>;
}

const HOUR_MS = 60 * 60_000;
const DAY_MS = 24 * HOUR_MS;
const MOST = { locked: 100, tokens: 500, days: 3_650 } as const;

/** Somebody whose user may not be read is not listed to a token that was made for something else. */
function requireReadsUsers({ viewer }: SecurityScope): void {
  if (!can(viewer, 'user:read')) throw new DomainError('FORBIDDEN', 'You need the permission user:read for this.');
}

/** Users who are in one of these tenants. */
const memberOf = ({ tenants }: SecurityScope): Prisma.UserWhereInput => (tenants === 'all' ? {} : { roles: { some: { tenantId: { in: [...tenants] } } } });

/** The same where users are named by their id alone. */
const isMember = ({ tenants }: SecurityScope): Prisma.Sql =>
  tenants === 'all'
    ? Prisma.sql`true`
    : Prisma.sql`user_id IN (SELECT r.user_id FROM role_assignments r WHERE r.tenant_id = ANY (${tenants}::uuid[]))`;

export function createSecurityOverview({ db, now }: { db: Database; now: () => Date }): SecurityOverview {
  return {
    scope(viewer, tenantId) {
      if (tenantId == null) return { viewer: requirePermission(viewer, 'security:read'), tenants: tenantsWith(viewer, 'security:read') };
      const id = parseId<TenantId>(tenantId, 'tenant', 'tenantId');
      return { viewer: requireInTenant(viewer, 'security:read', id, 'tenant', 'tenantId'), tenants: [id] };
    },

    async failedLogins(scope, args) {
      const page = parsePage(args);
      const cursor = cursorId(page);
      const failed = Prisma.sql`outcome <> 'succeeded' AND ${isMember(scope)}`;
      const from = cursor === undefined ? Prisma.sql`true` : page.backwards ? Prisma.sql`id > ${cursor}::uuid` : Prisma.sql`id < ${cursor}::uuid`;
      const order = page.backwards ? Prisma.sql`id ASC` : Prisma.sql`id DESC`;
      const rows = await db.$queryRaw<FailedLoginRecord[]>`
        SELECT id, user_id AS "userId", outcome::text AS outcome, address, device, known, at FROM sign_in_attempts
        WHERE ${failed} AND ${from} ORDER BY ${order} LIMIT ${page.limit + 1}`;
      const count = async (): Promise<number> => {
        const [row] = await db.$queryRaw<{ count: number }[]>`SELECT count(*)::int AS count FROM sign_in_attempts WHERE ${failed}`;
        return row?.count ?? 0;
      };
      return toConnection(rows, page, ({ id }) => [id], count);
    },

    lockedAccounts: (scope) => db.$queryRaw`
      SELECT user_id AS "userId", count(*)::int AS refused, max(at) AS "lastAt" FROM sign_in_attempts
      WHERE outcome = 'locked' AND user_id IS NOT NULL AND at > ${new Date(now().getTime() - HOUR_MS)} AND ${isMember(scope)}
      GROUP BY user_id ORDER BY refused DESC, user_id LIMIT ${MOST.locked}`,

    async usersWithoutSecondFactor(scope, args) {
      requireReadsUsers(scope);
      const page = parsePage(args);
      const range = byId(page);
      const where: Prisma.UserWhereInput = {
        AND: [
          memberOf(scope),
          { kind: 'person', deactivatedAt: null, deletedAt: null, invitedAt: null },
          { OR: [{ totp: { is: null } }, { totp: { confirmedAt: null } }] },
        ],
      };
      const rows = await db.user.findMany({ ...range, where: { AND: [where, range.where] }, select: USER_COLUMNS });
      const views = rows.map((row) => ({ user: userRecord(row), viewer: scope.viewer }));
      return toConnection(views, page, ({ user }) => [user.id], () => db.user.count({ where }));
    },

    expiringTokens(scope, withinDays, first) {
      requireReadsUsers(scope);
      if (withinDays < 1 || withinDays > MOST.days) throw new DomainError('BAD_USER_INPUT', `"withinDays" is between 1 and ${MOST.days}.`, { field: 'withinDays' });
      if (first < 0 || first > MOST.tokens) throw new DomainError('BAD_USER_INPUT', `"first" is between 0 and ${MOST.tokens}.`, { field: 'first' });
      const readable = tenantsWith(scope.viewer, 'user:read');
      // a token stands for an account in all its tenants: shown as the account's own are (see requireSeesSessions)
      const administered: Prisma.UserWhereInput = readable === 'all' ? {} : { roles: { every: { role: { not: 'platform_admin' }, tenantId: { in: readable } } } };
      const at = now();
      return db.apiToken.findMany({
        where: { revokedAt: null, expiresAt: { gt: at, lte: new Date(at.getTime() + withinDays * DAY_MS) }, user: { AND: [{ deactivatedAt: null }, memberOf(scope), administered] } },
        orderBy: [{ expiresAt: 'asc' }, { id: 'asc' }],
        take: first,
        select: API_TOKEN_COLUMNS,
      });
    },

    async roleChanges({ tenants }, args) {
      const page = parsePage(args);
      const range = byIdDescending(page);
      const where: Prisma.RoleChangeWhereInput = tenants === 'all' ? {} : { tenantId: { in: [...tenants] } };
      const rows = await db.roleChange.findMany({ ...range, where: { AND: [where, range.where] } });
      return toConnection(rows, page, ({ id }) => [id], () => db.roleChange.count({ where }));
    },

    async signingKeys({ viewer, tenants }) {
      if (tenants !== 'all' || tenantsWith(viewer, 'security:read') !== 'all') return null;
      return db.signingKey.findMany({ orderBy: [{ createdAt: 'desc' }, { kid: 'desc' }], select: { kid: true, algorithm: true, createdAt: true, retiredAt: true } });
    },
  };
}
