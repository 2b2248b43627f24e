import { inTransaction, orTaken } from '@novacron/database';
import { emit } from '@novacron/operations';
import { DomainError, type SessionId, type UserId } from '@novacron/core';
import type { Viewer } from '@novacron/contracts';
import { requireMay, type Verb } from '../people/rules.ts';
import type { UserRecord } from '../visibility.ts';
import { claimAddress, lockAddress } from './claims.ts';
import { forgetMails } from './mails.ts';
import { userRecord, USER_COLUMNS } from './records.ts';
import { lockUser, othersHoldPlatform, setRole } from './roles.ts';
import { endSessions } from './sessions.ts';
import type { Database, Transaction } from './database.ts';

/** Every write about accounts that are there already. What is checked still holds when it is written: the user is locked. */

/** What follows from a change: said last, as its transaction's events. */
interface Consequences {
  /** All sessions end, or all but this one. */
  endsSessions?: boolean | { except: SessionId };
  /** What it may do, or whether it may do anything, has changed. */
  changesAccess?: boolean;
}

type Change = (tx: Transaction, user: UserRecord) => Promise<Consequences | void>;

interface Subject {
  userId: UserId;
  /** The address that the user may get: locked before the user is, as by all who decide whose an address is. */
  address?: string | undefined;
}

/** Does to a user what the rules let the viewer do. NOT_FOUND, FORBIDDEN, INVALID_STATE as they say; else what `change` throws. */
export const changeUser = (db: Database, { verb, viewer, ...subject }: Subject & { verb: Verb; viewer: Viewer | null }, at: Date, change: Change): Promise<UserRecord> =>
  changeLocked(db, subject, at, (user) => requireMay(verb, user, viewer), change);

/** The same for what somebody does to its own account. UNAUTHENTICATED when that is gone. */
export const changeOwn = (db: Database, subject: Subject, at: Date, change: Change): Promise<UserRecord> => changeLocked(db, subject, at, requireStillThere, change);

function requireStillThere(user: UserRecord | null): UserRecord {
  if (user === null || user.deactivatedAt !== null) throw new DomainError('UNAUTHENTICATED', 'This account is gone: sign in again.');
  return user;
}

const changeLocked = (db: Database, { userId, address }: Subject, at: Date, check: (user: UserRecord | null) => UserRecord, change: Change): Promise<UserRecord> =>
  inTransaction(db, async (tx) => {
    if (address !== undefined) await lockAddress(tx, address);
    const consequences = await change(tx, check(await lockUser(tx, userId)));
    const changed = await tx.user.findUniqueOrThrow({ where: { id: userId }, select: USER_COLUMNS });
    const { endsSessions = false, changesAccess = false } = consequences ?? {};
    if (endsSessions !== false) await endSessions(tx, { userId, ...(endsSessions === true ? {} : endsSessions) }, at);
    if (changesAccess) await emit(tx, { type: 'user.access', tenantId: null, entityId: userId, after: {} });
    return userRecord(changed);
  });

export interface Edit {
  name?: string;
  /** Null: it has none (any more). */
  username?: string | null;
  /** Vouched for by who sets it, and not verified. */
  email?: string;
}

/** ALREADY_EXISTS with the field that somebody else has. What was mailed to an address that is given up is good for nothing any more. */
export async function editUser(tx: Transaction, id: UserId, { name, username, email }: Edit): Promise<void> {
  if (name !== undefined) await tx.user.update({ where: { id }, data: { name } });
  if (username !== undefined) {
    await tx.user.update({ where: { id }, data: { username } }).catch((error: unknown) => {
      throw orTaken(error, 'username', 'There is a user with this user name.');
    });
  }
  if (email === undefined) return;
  await tx.mailToken.deleteMany({ where: { userId: id } });
  await tx.user.update({ where: { id }, data: { email, emailVerified: false, emailClaimed: true } }).catch((error: unknown) => {
    throw orTaken(error, 'email', 'There is a user with this e-mail address.');
  });
}

/** Is the address known to be its own? To any other one nothing of the account is written. */
export const hasItsAddress = async (tx: Transaction, id: UserId): Promise<boolean> => (await tx.user.count({ where: { id, emailClaimed: true } })) > 0;

/** Somebody has shown that it reads mail at another address than its account's, which has that one from now on. INVALID_STATE when another account has it. */
export async function moveToAddress(tx: Transaction, userId: UserId, email: string): Promise<void> {
  await tx.mailToken.deleteMany({ where: { userId } });
  await tx.user.update({ where: { id: userId }, data: { email, emailClaimed: false, emailVerified: false } });
  await claimAddress(tx, { userId, email });
}

/** INVALID_STATE where nobody who can sign in would administer the platform without this user. */
export async function requireDispensable(tx: Transaction, { id, roles }: UserRecord): Promise<void> {
  if (!roles.some(({ role }) => role === 'platform_admin') || (await othersHoldPlatform(tx, id))) return;
  throw new DomainError('INVALID_STATE', 'This is the last platform administrator: make another one first.');
}

export const deletedAddress = (id: UserId): string => `${id}@deleted.invalid`;

/**
 * Leaves of a user only that it was there: others' rows name its id. Sessions and API tokens stay until their time is over, without
 * anything of the person, so that everybody learns that they have ended.
 */
export async function forgetUser(tx: Transaction, { id, roles }: UserRecord, { by, at }: { by: UserId; at: Date }): Promise<Consequences> {
  const ofUser = { where: { userId: id } };
  for (const { tenantId, role } of roles) await setRole(tx, { userId: id, tenantId, from: role, to: null, by, at });
  await tx.mailToken.deleteMany(ofUser);
  await forgetMails(tx, id, at);
  await tx.totp.deleteMany(ofUser);
  await tx.backupCode.deleteMany(ofUser);
  await tx.knownDevice.deleteMany(ofUser);
  await tx.sshKey.deleteMany(ofUser);
  await tx.signInAttempt.deleteMany(ofUser);
  await tx.refreshToken.deleteMany({ where: { session: { userId: id } } });
  await tx.session.updateMany({ ...ofUser, data: { address: null, device: null } });
  await tx.apiToken.updateMany({ where: { userId: id, revokedAt: null }, data: { revokedAt: at } });
  await tx.apiToken.updateMany({ ...ofUser, data: { name: '', addresses: [], lastUsedAddress: null } });
  await tx.user.update({
    where: { id },
    data: {
      ...{ name: 'Deleted user', email: deletedAddress(id), emailClaimed: true, emailVerified: false, username: null },
      ...{ passwordHash: null, passwordChangedAt: null, mustChangePassword: false, lastLoginAt: null, invitedAt: null },
      ...{ deactivatedAt: at, deletedAt: at },
    },
  });
  return { endsSessions: true, changesAccess: true };
}
