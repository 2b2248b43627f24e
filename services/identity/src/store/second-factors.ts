import { emit } from '@novacron/operations';
import { DomainError, newId, type SessionId, type TenantId, type UserId } from '@novacron/core';
import { isPlatformAdmin, ROLES, type Role, type Viewer } from '@novacron/contracts';
import type { TenantRecord } from '../visibility.ts';
import { readSetting } from '../settings/settings.ts';
import { tenantRecord, TENANT_COLUMNS } from './records.ts';
import { endSessions } from './sessions.ts';
import type { Database, Transaction } from './database.ts';

/** Every write about second factors. One after the other for each user: see locked(). */

/** An authenticator, its secret still sealed. */
export interface TotpRow {
  userId: UserId;
  secret: Uint8Array<ArrayBuffer>;
  keyId: string;
  createdAt: Date;
  confirmedAt: Date | null;
  lastStep: bigint | null;
  failures: number;
  refusedUntil: Date | null;
}

/** The account that a second factor belongs to, and where its mails go: nowhere while nobody knows whose the address is. */
export interface Owner {
  id: UserId;
  name: string;
  email: string;
  emailClaimed: boolean;
  totp: TotpRow | null;
}

/** Runs `work` on what is there now, while nobody else changes this user's second factor: a code is spent once, under any race. */
export const locked = <Result>(db: Database, userId: UserId, work: (tx: Transaction, owner: Owner) => Promise<Result>): Promise<Result> =>
  db.$transaction(async (tx) => {
    await lock(tx, userId);
    const row = await tx.user.findUnique({ where: { id: userId }, select: { name: true, email: true, emailClaimed: true, totp: true } });
    if (row === null) throw new DomainError('NOT_FOUND', 'There is no user with this id.', { field: 'userId' });
    return work(tx, { ...row, id: userId, totp: row.totp && { ...row.totp, userId } });
  });

/** For who opens a session: a second factor that is taken into use meanwhile comes before it, or ends it. */
export async function hasSecondFactorByNow(tx: Transaction, userId: UserId): Promise<boolean> {
  await lock(tx, userId);
  return (await tx.totp.count({ where: { userId, confirmedAt: { not: null } } })) > 0;
}

const lock = (tx: Transaction, userId: UserId): Promise<unknown> => tx.$queryRaw`SELECT 1 FROM users WHERE id = ${userId}::uuid FOR NO KEY UPDATE`;

/** In place of one that was never confirmed. */
export async function putEnrollment(tx: Transaction, userId: UserId, sealed: { secret: Uint8Array<ArrayBuffer>; keyId: string }, at: Date): Promise<void> {
  await tx.totp.deleteMany({ where: { userId, confirmedAt: null } });
  await tx.totp.create({ data: { userId, ...sealed, createdAt: at } });
}

/** From now on it is asked for. The session that shows it has shown it; the others end: whoever has them signs in with it. */
export async function confirmEnrollment(tx: Transaction, { userId, sessionId, step }: { userId: UserId; sessionId: SessionId; step: bigint }, at: Date): Promise<void> {
  await tx.totp.update({ where: { userId }, data: { confirmedAt: at, lastStep: step } });
  await tx.session.updateMany({ where: { id: sessionId, userId }, data: { secondFactor: true } });
  await endSessions(tx, { userId, except: sessionId }, at);
  await announce(tx, userId);
}

/** Neither authenticator nor codes, and no session that has shown any. */
export async function removeSecondFactor(tx: Transaction, userId: UserId): Promise<void> {
  await tx.totp.deleteMany({ where: { userId } });
  await tx.backupCode.deleteMany({ where: { userId } });
  await tx.session.updateMany({ where: { userId }, data: { secondFactor: false } });
  await announce(tx, userId);
}

/** These codes, and none of those before. */
export async function putBackupCodes(tx: Transaction, userId: UserId, hashes: readonly Buffer<ArrayBuffer>[], at: Date): Promise<void> {
  await tx.backupCode.deleteMany({ where: { userId } });
  await tx.backupCode.createMany({ data: hashes.map((codeHash) => ({ id: newId<string>(), userId, codeHash, createdAt: at })) });
}

/** @returns how many are left; null when it was none of them, or was used before */
export async function spendBackupCode(tx: Transaction, userId: UserId, codeHash: Buffer<ArrayBuffer>, at: Date): Promise<number | null> {
  const { count } = await tx.backupCode.updateMany({ where: { userId, codeHash, usedAt: null }, data: { usedAt: at } });
  return count === 0 ? null : tx.backupCode.count({ where: { userId, usedAt: null } });
}

export async function recordStep(tx: Transaction, userId: UserId, lastStep: bigint): Promise<void> {
  await tx.totp.update({ where: { userId }, data: { lastStep, failures: 0, refusedUntil: null } });
}

export async function recordFailure(tx: Transaction, userId: UserId, failures: number, refusedUntil: Date | null): Promise<void> {
  await tx.totp.update({ where: { userId }, data: { failures, refusedUntil } });
}

/** Does a role of this user need a second factor? */
export async function isDemandedOf(tx: Transaction, userId: UserId): Promise<boolean> {
  const everywhere = await readSetting(tx, 'secondFactor.roles');
  const held = await tx.roleAssignment.findMany({ where: { userId }, select: { role: true, tenant: { select: { secondFactorRoles: true } } } });
  return held.some(({ role, tenant }) => everywhere.includes(role) || tenant.secondFactorRoles.includes(role));
}

/** Whoever holds one of these roles there needs a second factor, and nobody else. Repeating it changes nothing and says nothing. NOT_FOUND, FORBIDDEN. */
export const demandInTenant = (db: Database, { tenantId, roles, viewer }: { tenantId: TenantId; roles: readonly Role[]; viewer: Viewer }): Promise<TenantRecord> =>
  db.$transaction(async (tx) => {
    await tx.$queryRaw`SELECT 1 FROM tenants WHERE id = ${tenantId}::uuid FOR UPDATE`;
    const row = await tx.tenant.findUnique({ where: { id: tenantId }, select: { ...TENANT_COLUMNS, secondFactorRoles: true } });
    if (row === null) throw new DomainError('NOT_FOUND', 'There is no tenant with this id.', { field: 'tenantId' });
    const { secondFactorRoles: before, ...tenant } = row;
    const changed = ROLES.filter((role) => roles.includes(role) !== before.includes(role));
    if (changed.includes('platform_admin') && !isPlatformAdmin(viewer)) {
      throw new DomainError('FORBIDDEN', 'What platform administrators need is said by platform administrators.', { field: 'roles' });
    }
    if (changed.length > 0) {
      await tx.tenant.update({ where: { id: tenantId }, data: { secondFactorRoles: [...roles] } });
      await announceHolders(tx, changed, tenantId);
    }
    return tenantRecord(tenant);
  });

/** What is demanded of these roles has changed, in one tenant or everywhere: whoever holds one may do something else from now on. */
export async function announceHolders(tx: Transaction, roles: readonly Role[], tenantId?: TenantId): Promise<void> {
  const where = { role: { in: [...roles] }, ...(tenantId && { tenantId }) };
  const holders = await tx.roleAssignment.findMany({ where, select: { userId: true }, distinct: ['userId'], orderBy: { userId: 'asc' } });
  for (const { userId } of holders) await announce(tx, userId as UserId); // ids leave the tables here
}

/** Sessions that have shown a second factor, and those that have not, may do something else from now on. */
const announce = (tx: Transaction, userId: UserId): Promise<void> => emit(tx, { type: 'user.access', tenantId: null, entityId: userId, after: {} });
