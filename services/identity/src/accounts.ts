import { requireInTenant, requirePermission, tenantsWith, type Viewer } from '@novacron/contracts';
import { DomainError, parseId, type TenantId, type UserId } from '@novacron/core';
import type { Logger } from 'pino';
import type { Passwords } from './passwords.ts';
import { parseEmail, parseName, parsePassword, parseQuota, parseRole, parseTenantName, requireMayGrant, type QuotaInput } from './rules.ts';
import { createTenant, createUser, updateTenant } from './store/accounts.ts';
import { userRecord, USER_COLUMNS } from './store/records.ts';
import { assignRole } from './store/roles.ts';
import type { Database } from './store/database.ts';
import type { TenantRecord, UserRecord } from './visibility.ts';

/** Who asks, and by which request. */
export interface Asker {
  viewer: Viewer | null;
  requestId: string;
}

export interface NewAccount {
  email: string;
  name: string;
  password: string;
  tenantId: string;
  role: string;
}

/** What administrators do. Each checks the permission, then the input, and says in one log line what it changed. */
export interface Accounts {
  /** Errors: FORBIDDEN, BAD_USER_INPUT, ALREADY_EXISTS. */
  createTenant(asker: Asker, input: { name: string; quota?: QuotaInput | null | undefined }): Promise<TenantRecord>;
  /** What is left out stays. Errors: FORBIDDEN, NOT_FOUND, BAD_USER_INPUT, ALREADY_EXISTS. */
  updateTenant(asker: Asker, input: { id: string; name?: string | null | undefined; quota?: QuotaInput | null | undefined }): Promise<TenantRecord>;
  /** Errors: FORBIDDEN, NOT_FOUND (the tenant), BAD_USER_INPUT, ALREADY_EXISTS. */
  createUser(asker: Asker, input: NewAccount): Promise<UserRecord>;
  /** Idempotent. Errors: FORBIDDEN, NOT_FOUND (tenant or user), BAD_USER_INPUT, INVALID_STATE (the last administrator). */
  assignRole(asker: Asker, input: { userId: string; role: string; tenantId: string }): Promise<UserRecord>;
}

interface AccountsOptions {
  db: Database;
  passwords: Passwords;
  now: () => Date;
  logger: Logger;
}

export function createAccounts({ db, passwords, now, logger }: AccountsOptions): Accounts {
  return {
    async createTenant({ viewer, requestId }, input) {
      const { userId: by } = requirePermission(viewer, 'tenant:create');
      const tenant = await createTenant(db, { name: parseTenantName(input.name), quota: parseQuota(input.quota), at: now() });
      logger.info({ requestId, by, tenantId: tenant.id, name: tenant.name }, 'tenant created');
      return tenant;
    },

    async updateTenant({ viewer, requestId }, input) {
      const { userId: by } = requirePermission(viewer, 'tenant:update');
      const tenantId = parseId<TenantId>(input.id, 'tenant');
      const quota = parseQuota(input.quota);
      const tenant = await updateTenant(db, tenantId, { quota, ...(input.name == null ? {} : { name: parseTenantName(input.name) }) });
      logger.info({ requestId, by, tenantId, name: tenant.name, quota }, 'tenant updated');
      return tenant;
    },

    async createUser({ viewer, requestId }, input) {
      const tenantId = parseId<TenantId>(input.tenantId, 'tenant');
      const creator = requireInTenant(viewer, 'user:create', tenantId, 'tenant');
      const role = parseRole(input.role);
      requireMayGrant(creator, role);
      const [email, name] = [parseEmail(input.email), parseName(input.name)];
      const password = parsePassword(input.password, [email, name]);
      const passwordHash = await passwords.hash(password);
      const user = await createUser(db, { email, name, passwordHash, tenantId, role, by: creator.userId, at: now() });
      logger.info({ requestId, by: creator.userId, userId: user.id, tenantId, role }, 'user created');
      return user;
    },

    async assignRole({ viewer, requestId }, input) {
      const tenantId = parseId<TenantId>(input.tenantId, 'tenant');
      const assigner = requireInTenant(viewer, 'role:assign', tenantId, 'tenant');
      const role = parseRole(input.role);
      const userId = parseId<UserId>(input.userId, 'user');
      requireMayGrant(assigner, role);
      await requireKnown(db, assigner, userId);
      const user = await assignRole(db, { userId, tenantId, role, viewer: assigner, at: now() });
      logger.info({ requestId, by: assigner.userId, userId, tenantId, role }, 'role assigned');
      return user;
    },
  };
}

/** Nobody draws users of foreign tenants into its own: they are not there. */
async function requireKnown(db: Database, viewer: Viewer, userId: UserId): Promise<void> {
  const tenants = tenantsWith(viewer, 'user:read');
  const row = await db.user.findUnique({ where: { id: userId }, select: USER_COLUMNS });
  const known = row !== null && (tenants === 'all' || userRecord(row).roles.some((held) => tenants.includes(held.tenantId)));
  if (!known) throw new DomainError('NOT_FOUND', 'There is no user with this id.', { field: 'userId' });
}
