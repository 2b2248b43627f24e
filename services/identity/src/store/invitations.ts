import { inTransaction } from '@novacron/database';
import { emit } from '@novacron/operations';
import { DomainError, newId, type TenantId, type UserId } from '@novacron/core';
import type { Role, Viewer } from '@novacron/contracts';
import type { UserRecord } from '../visibility.ts';
import { claimAddress, lockAddress } from './claims.ts';
import { readMailToken, spendMailToken, type MailToken } from './mail-tokens.ts';
import { NEWCOMER, userRecord, USER_COLUMNS } from './records.ts';
import { lockUser, requireMayReplace, requireTenant, setRole } from './roles.ts';
import type { Database, Transaction } from './database.ts';

/**
 * Every write about who is invited. An invitation makes a user of its own at once, which claims no address: whether somebody has an
 * account with that address already shows only to who reads mail there.
 */

export interface Invitation {
  email: string;
  /** Null: as it was, or as the address begins. */
  name: string | null;
  tenantId: TenantId;
  role: Role;
}

/**
 * Makes the user, or finds the one that was invited to the tenant before, and lets `send` write the mail. ALREADY_EXISTS for a member's
 * address, also under a race; NOT_FOUND without such a tenant.
 */
export const invite = (
  db: Database,
  { email, name, tenantId, role }: Invitation,
  viewer: Viewer,
  at: Date,
  send: (tx: Transaction, invited: UserRecord, tenantName: string) => Promise<void>,
): Promise<UserRecord> =>
  inTransaction(db, async (tx) => {
    const tenantName = await requireTenant(tx, tenantId);
    await tx.$executeRaw`SELECT pg_advisory_xact_lock(hashtextextended(${`identity: invitation ${tenantId} ${email}`}, 0))`;
    const known = await tx.user.findFirst({ where: { email, kind: 'person', deletedAt: null, roles: { some: { tenantId } } }, select: { id: true, invitedAt: true } });
    if (known !== null && known.invitedAt === null) throw new DomainError('ALREADY_EXISTS', 'Somebody in this tenant has this e-mail address.', { field: 'email' });
    // ids leave the tables here: the brands exist only for the compiler
    const id = (known?.id ?? newId()) as UserId;
    if (known === null) await tx.user.create({ data: { ...NEWCOMER, id, email, emailClaimed: false, name: name ?? email.slice(0, email.indexOf('@')), createdAt: at, invitedAt: at } });
    const before = await lockUser(tx, id);
    if (before === null || before.deactivatedAt !== null) throw new DomainError('INVALID_STATE', 'Who was invited with this address is deactivated.', { field: 'email' });
    const from = await requireMayReplace(tx, before, { tenantId, to: role, viewer });
    if (known !== null) await tx.user.update({ where: { id }, data: { invitedAt: at, ...(name === null ? {} : { name }) } });
    if (from !== role) await setRole(tx, { userId: id, tenantId, from, to: role, by: viewer.userId, at });
    const invited = userRecord(await tx.user.findUniqueOrThrow({ where: { id }, select: USER_COLUMNS }));
    await send(tx, invited, tenantName);
    await emit(tx, { type: 'user.access', tenantId, entityId: id, after: {} });
    return invited;
  });

/** Has somebody an account with this address? Asked for who reads mail there, and for nobody else. */
export const isClaimed = async (sql: Database | Transaction, email: string): Promise<boolean> => (await sql.user.count({ where: { email, emailClaimed: true } })) > 0;

/**
 * Spends the token: who was invited has a password now, and the address is its own. INVALID_STATE where there is an account with it,
 * or the invitation was taken back.
 */
export const acceptInvitation = (
  db: Database,
  { token, name, passwordHash }: { token: string; name: string | null; passwordHash: string },
  at: Date,
): Promise<UserRecord> =>
  inTransaction(db, async (tx) => {
    const { userId, email } = await spendInvitation(tx, token, at);
    await tx.user.update({ where: { id: userId }, data: { passwordHash, passwordChangedAt: at, invitedAt: null, ...(name === null ? {} : { name }) } });
    await claimAddress(tx, { userId, email });
    const user = await tx.user.findUniqueOrThrow({ where: { id: userId }, select: USER_COLUMNS });
    await emit(tx, { type: 'user.access', tenantId: null, entityId: userId, after: {} });
    return userRecord(user);
  });

/**
 * Gives an account, which the caller has locked, the roles of who was invited with its address, where it has none yet. FORBIDDEN for
 * the account of another address.
 */
export async function moveRoles(tx: Transaction, to: UserRecord, token: string, at: Date): Promise<void> {
  const { userId, email } = await spendInvitation(tx, token, at);
  if (email !== to.email) throw new DomainError('FORBIDDEN', 'This invitation was sent to another address than that of your account.', { field: 'token' });
  const roles = await tx.roleAssignment.findMany({ where: { userId } });
  await tx.user.delete({ where: { id: userId } });
  for (const { tenantId, role, changedBy } of roles) {
    if (to.roles.some((held) => held.tenantId === tenantId)) continue;
    // ids leave the tables here: the brands exist only for the compiler
    await setRole(tx, { userId: to.id, tenantId: tenantId as TenantId, from: null, to: role, by: changedBy as UserId | null, at });
  }
}

/** Address and user are locked first, as by all who decide about them. */
async function spendInvitation(tx: Transaction, token: string, at: Date): Promise<MailToken> {
  const { userId, email } = await readMailToken(tx, 'invitation', token, at);
  await lockAddress(tx, email);
  const user = await lockUser(tx, userId);
  const spent = await spendMailToken(tx, 'invitation', token, at);
  if (user?.invitedAt == null || user.deactivatedAt !== null) throw new DomainError('INVALID_STATE', 'This invitation was taken back.', { field: 'token' });
  return spent;
}
