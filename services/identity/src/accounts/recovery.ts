import { DomainError, newId, type UserId } from '@novacron/core';
import { inTransaction } from '@novacron/database';
import type { Logger } from 'pino';
import { tidy, type Admission, type Owed, type SignedIn } from '../admission.ts';
import { findByAddress } from '../directory.ts';
import type { Mailbox } from '../mail/mailbox.ts';
import type { Passwords } from '../passwords.ts';
import { normalizeEmail, parsePassword } from '../rules.ts';
import { revokeApiTokens } from '../store/api-tokens.ts';
import { claimAddress, lockAddress } from '../store/claims.ts';
import { lockAccount, putPassword } from '../store/credentials.ts';
import type { Database, Transaction } from '../store/database.ts';
import { countMailTokens, endMailTokens, issueMailToken, readMailToken, spendMailToken } from '../store/mail-tokens.ts';
import { userRecord, USER_COLUMNS } from '../store/records.ts';
import type { Origin } from '../store/sessions.ts';
import { forgetDevices, rememberDevice } from '../store/sign-in-attempts.ts';
import { fingerprintOf } from './devices.ts';
import { clearOfStrangers } from './strangers.ts';
import { MAILS } from './verification.ts';

/** For who has forgotten its password. */
export interface Recovery {
  /** Mails a link to whose address it is, and says nothing of that. */
  request(email: string, requestId: string): Promise<void>;
  /**
   * Spends the link for a new password, and ends all sessions and API tokens. Who follows it reads mail at the address: it is verified, too, and if it
   * was not before, nothing of whoever was in the account is left. Errors: BAD_USER_INPUT (token, newPassword), RATE_LIMITED.
   */
  reset(input: { token: string; newPassword: string }, origin: Origin, requestId: string): Promise<SignedIn | Owed>;
}

interface RecoveryOptions {
  db: Database;
  passwords: Passwords;
  mailbox: Mailbox;
  admission: Admission;
  now: () => Date;
  logger: Logger;
}

/** How long the link is good for: whoever asked is waiting for it. */
const LINK_MS = 60 * 60_000;

export function createRecovery({ db, passwords, mailbox, admission, now, logger }: RecoveryOptions): Recovery {
  const mail = (tx: Transaction, to: { id: UserId | null; email: string; name: string }, token: string, at: Date) =>
    mailbox.post(tx, { kind: 'reset_password', recipient: to.email, userId: to.id, content: { name: to.name, token } }, at);

  /** What is written for who has an account is written and taken back for who has none: the time tells nothing. */
  async function pretend(tx: Transaction, email: string, at: Date): Promise<void> {
    const id = newId<UserId>();
    await endMailTokens(tx, { userId: id, purpose: 'reset_password' }, at);
    await mail(tx, { id, email, name: '' }, '', at);
    await tx.mail.deleteMany({ where: { userId: id } });
  }

  return {
    async request(text, requestId) {
      const email = normalizeEmail(text) ?? '';
      const at = now();
      const found = await inTransaction(db, async (tx) => {
        const account = await findByAddress(tx, email);
        const userId = (account?.id ?? newId()) as UserId; // of the table, or nobody's
        const mails = await countMailTokens(tx, { userId, purpose: 'reset_password' }, new Date(at.getTime() - MAILS.withinMs));
        if (account === null || account.deactivatedAt !== null || mails >= MAILS.most) {
          await pretend(tx, email, at);
          return null;
        }
        const token = await issueMailToken(tx, { userId, email, purpose: 'reset_password', lifetimeMs: LINK_MS }, at);
        await mail(tx, { id: userId, email, name: account.name }, token, at);
        return userId;
      });
      logger.info({ requestId, userId: found }, 'password reset asked for');
    },

    async reset({ token, newPassword }, origin, requestId) {
      const { userId, email } = await readMailToken(db, 'reset_password', token, now());
      const { name, username } = await db.user.findUniqueOrThrow({ where: { id: userId }, select: { name: true, username: true } });
      const password = parsePassword(newPassword, [email, name, username ?? ''], 'newPassword');
      const passwordHash = await passwords.hash(password);
      const at = now();
      await inTransaction(db, async (tx) => {
        await lockAddress(tx, email);
        await spendMailToken(tx, 'reset_password', token, at);
        const account = await lockAccount(tx, userId);
        if (account === null) throw new DomainError('INVALID_STATE', 'This account can not be signed in to any more.');
        await claimAddress(tx, { userId, email });
        await mailbox.post(tx, { kind: 'password_changed', recipient: email, userId, content: { name, address: origin.address, at } }, at);
        await forgetDevices(tx, userId);
        if (!account.emailVerified) await clearOfStrangers(tx, mailbox, { userId, email, address: origin.address }, at);
        // who still owes a code signs in from here, while strangers guess the password
        await rememberDevice(tx, userId, fingerprintOf(tidy(origin)), at);
        await revokeApiTokens(tx, { userId }, at);
        await putPassword(tx, { userId, passwordHash }, at);
      });
      logger.info({ requestId, userId, address: origin.address }, 'password reset');
      const row = await db.user.findUniqueOrThrow({ where: { id: userId }, select: USER_COLUMNS });
      return admission.admit({ user: userRecord(row), emailClaimed: true, code: null }, origin, requestId);
    },
  };
}
