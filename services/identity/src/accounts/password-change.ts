import { requireSignedIn } from '@novacron/contracts';
import { DomainError, type UserId } from '@novacron/core';
import type { Logger } from 'pino';
import type { Asker } from '../accounts.ts';
import type { Mailbox } from '../mail/mailbox.ts';
import type { Passwords } from '../passwords.ts';
import { parsePassword } from '../rules.ts';
import { lockAccount, putPassword } from '../store/credentials.ts';
import type { Database, Transaction } from '../store/database.ts';
import type { Origin } from '../store/sessions.ts';
import { countFailures, forgiveFailures, readRefusals } from '../store/sign-in-attempts.ts';
import { sessionThrottleKeyOf } from './devices.ts';

/** For who knows its password, and wants another one. */
export interface PasswordChange {
  /** Ends the user's other sessions. Errors: UNAUTHENTICATED, BAD_USER_INPUT (currentPassword, newPassword), RATE_LIMITED. */
  change(asker: Asker, input: { currentPassword: string; newPassword: string }, origin: Origin): Promise<void>;
}

interface PasswordChangeOptions {
  db: Database;
  passwords: Passwords;
  mailbox: Mailbox;
  now: () => Date;
  logger: Logger;
}

const HASHES = 2;

export function createPasswordChange({ db, passwords, mailbox, now, logger }: PasswordChangeOptions): PasswordChange {
  async function read(tx: Transaction, userId: UserId) {
    const account = await lockAccount(tx, userId);
    if (account === null) throw new DomainError('UNAUTHENTICATED', 'This account is gone: sign in again.');
    return account;
  }

  return {
    async change({ viewer, requestId }, { currentPassword, newPassword }, { address }) {
      const { userId, sessionId } = requireSignedIn(viewer);
      const before = await db.$transaction((tx) => read(tx, userId));
      const password = parsePassword(newPassword, [before.email, before.name, before.username ?? ''], 'newPassword');
      const throttle = sessionThrottleKeyOf(sessionId);
      const passwordHash = await passwords.inTurn(HASHES, async ({ verify, hash }) => {
        const [until] = (await readRefusals(db, [throttle], now())).values();
        if (until !== undefined) throw new DomainError('RATE_LIMITED', `Too many failed attempts: try again in ${Math.max(1, Math.ceil((until.getTime() - now().getTime()) / 1000))} s.`);
        if (!(await verify(currentPassword, before.passwordHash))) {
          await db.$transaction((tx) => countFailures(tx, [throttle], now()));
          throw new DomainError('BAD_USER_INPUT', 'This is not your password.', { field: 'currentPassword' });
        }
        if (currentPassword === password) throw new DomainError('BAD_USER_INPUT', 'This is the password that you have.', { field: 'newPassword' });
        return hash(password);
      });
      const at = now();
      await db.$transaction(async (tx) => {
        const { email, name, emailClaimed, passwordHash: still } = await read(tx, userId);
        if (still !== before.passwordHash) throw new DomainError('CONFLICT', 'Your password was changed just now, by somebody else.');
        if (emailClaimed) await mailbox.post(tx, { kind: 'password_changed', recipient: email, userId, content: { name, address, at } }, at);
        await forgiveFailures(tx, throttle);
        await putPassword(tx, { userId, passwordHash, except: sessionId }, at);
      });
      logger.info({ requestId, userId, sessionId, address }, 'password changed');
    },
  };
}
