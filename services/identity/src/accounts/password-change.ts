import { requireSignedIn } from '@novacron/contracts';
import { DomainError, type UserId } from '@novacron/core';
import { inTransaction } from '@novacron/database';
import type { Logger } from 'pino';
import type { Asker } from '../accounts.ts';
import type { Mailbox } from '../mail/mailbox.ts';
import { parsePassword } from '../rules.ts';
import { lockAccount, putPassword } from '../store/credentials.ts';
import type { Database, Transaction } from '../store/database.ts';
import type { Origin } from '../store/sessions.ts';
import type { OwnPassword } from './own-password.ts';

/** For who knows its password, and wants another one. */
export interface PasswordChange {
  /** Ends the user's other sessions. Errors: UNAUTHENTICATED, BAD_USER_INPUT (currentPassword, newPassword), RATE_LIMITED. */
  change(asker: Asker, input: { currentPassword: string; newPassword: string }, origin: Origin): Promise<void>;
}

interface PasswordChangeOptions {
  db: Database;
  ownPassword: OwnPassword;
  mailbox: Mailbox;
  now: () => Date;
  logger: Logger;
}

export function createPasswordChange({ db, ownPassword, mailbox, now, logger }: PasswordChangeOptions): PasswordChange {
  async function read(tx: Transaction, userId: UserId) {
    const account = await lockAccount(tx, userId);
    if (account === null) throw new DomainError('UNAUTHENTICATED', 'This account is gone: sign in again.');
    return account;
  }

  return {
    async change({ viewer, requestId }, { currentPassword, newPassword }, { address }) {
      const known = requireSignedIn(viewer);
      const { userId, sessionId } = known;
      const before = await inTransaction(db, (tx) => read(tx, userId));
      const password = parsePassword(newPassword, [before.email, before.name, before.username ?? ''], 'newPassword');
      // before anything is hashed: it need not be right for that
      if (currentPassword === password) throw new DomainError('BAD_USER_INPUT', 'The new password is the current one.', { field: 'newPassword' });
      const asked = { viewer: known, typed: currentPassword, stored: before.passwordHash, field: 'currentPassword' };
      const passwordHash = await ownPassword.check(asked, 1, ({ hash }) => hash(password));
      const at = now();
      await inTransaction(db, async (tx) => {
        const { email, name, emailClaimed, passwordHash: still } = await read(tx, userId);
        if (still !== before.passwordHash) throw new DomainError('CONFLICT', 'Your password was changed just now, by somebody else.');
        if (emailClaimed) await mailbox.post(tx, { kind: 'password_changed', recipient: email, userId, content: { name, address, at } }, at);
        await putPassword(tx, { userId, passwordHash, except: sessionId }, at);
      });
      logger.info({ requestId, userId, sessionId, address }, 'password changed');
    },
  };
}
