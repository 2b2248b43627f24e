import { requireSettled, type Viewer } from '@novacron/contracts';
import { DomainError } from '@novacron/core';
import type { Logger } from 'pino';
import type { Asker } from '../accounts.ts';
import type { OwnPassword } from '../accounts/own-password.ts';
import type { Mailbox } from '../mail/mailbox.ts';
import type { NewMail } from '../mail/mails.ts';
import { parseEmail, parseName, parseUsername } from '../rules.ts';
import { requireFewMails } from '../accounts/verification.ts';
import { issueMailToken, readMailToken, spendMailToken } from '../store/mail-tokens.ts';
import { mayMail } from '../store/mails.ts';
import { changeOwn, editUser, forgetUser, hasItsAddress, moveToAddress, requireDispensable } from '../store/people.ts';
import type { Database } from '../store/database.ts';
import type { UserRecord } from '../visibility.ts';

/** What people do to their own accounts. UNAUTHENTICATED and FORBIDDEN where nobody, or only a program, asks, or somebody who owes something first. */
export interface Profile {
  /** BAD_USER_INPUT, ALREADY_EXISTS (username). */
  update(asker: Asker, changes: { name?: string | null | undefined; username?: string | null | undefined }): Promise<UserRecord>;
  /** Mails a link to the new address. The same answer, after the same work, whether or not it is somebody else's, who then is told. BAD_USER_INPUT (newEmail, password), RATE_LIMITED after too many wrong ones, or mails. */
  requestEmailChange(asker: Asker, input: { newEmail: string; password: string }, address: string | null): Promise<void>;
  /** By that link, signed in or not; ends the account's sessions, all but the one that asks. BAD_USER_INPUT (token), INVALID_STATE where the address has become somebody else's. */
  confirmEmailChange(asker: Asker, token: string, from: string | null): Promise<void>;
  /** BAD_USER_INPUT (password), RATE_LIMITED as above, INVALID_STATE for the last administrator of the platform. */
  deleteAccount(asker: Asker, password: string): Promise<void>;
}

interface ProfileOptions {
  db: Database;
  ownPassword: OwnPassword;
  mailbox: Mailbox;
  now: () => Date;
  logger: Logger;
}

const DAY_MS = 86_400_000;

export function createProfile({ db, ownPassword, mailbox, now, logger }: ProfileOptions): Profile {
  /** @returns what is stored of it, by which it is found out later whether it still is the password */
  async function requirePassword(viewer: Viewer, typed: string): Promise<string | null> {
    const row = await db.user.findUnique({ where: { id: viewer.userId }, select: { passwordHash: true } });
    await ownPassword.check({ viewer, typed, stored: row?.passwordHash ?? null, field: 'password' }, 0, () => Promise.resolve());
    return row?.passwordHash ?? null;
  }

  return {
    async update({ viewer, requestId }, { name, username }) {
      const { userId } = requireSettled(viewer);
      const edit = {
        ...(name == null ? {} : { name: parseName(name) }),
        ...(username === undefined ? {} : { username: username === null ? null : parseUsername(username) }),
      };
      const user = await changeOwn(db, { userId }, now(), (tx) => editUser(tx, userId, edit));
      logger.info({ requestId, userId, fields: Object.keys(edit) }, 'profile updated');
      return user;
    },

    async requestEmailChange({ viewer, requestId }, { newEmail, password }, address) {
      const known = requireSettled(viewer);
      const [{ userId }, email] = [known, parseEmail(newEmail, 'newEmail')];
      await requireFewMails(db, { userId, purpose: 'change_email' }, now()); // before anything is hashed
      const passwordHash = await requirePassword(known, password);
      const at = now();
      await changeOwn(db, { userId }, at, async (tx, own) => {
        // whoever changes the password comes before, or ends the token that is made here
        if ((await tx.user.count({ where: { id: userId, passwordHash } })) === 0) throw new DomainError('CONFLICT', 'Your password was changed just now.');
        if (own.email === email) throw new DomainError('BAD_USER_INPUT', 'This is the address of your account already.', { field: 'newEmail' });
        await requireFewMails(tx, { userId, purpose: 'change_email' }, at);
        const owner = await tx.user.findFirst({ where: { email, emailClaimed: true }, select: { id: true, name: true } });
        const token = await issueMailToken(tx, { userId, email, purpose: 'change_email', lifetimeMs: DAY_MS }, at);
        const mail: NewMail =
          owner === null
            ? { kind: 'change_email', recipient: email, userId, content: { name: own.name, token } }
            : { kind: 'already_registered', recipient: email, userId: owner.id, content: { name: owner.name, address } };
        if (await mayMail(tx, mail, at)) await mailbox.post(tx, mail, at);
      });
      logger.info({ requestId, userId }, 'change of address asked for');
    },

    async confirmEmailChange({ viewer, requestId }, token, from) {
      const at = now();
      const { userId, email: address } = await readMailToken(db, 'change_email', token, at);
      await changeOwn(db, { userId, address }, at, async (tx, { email: before, name }) => {
        const { email } = await spendMailToken(tx, 'change_email', token, at);
        const isTold = await hasItsAddress(tx, userId);
        await moveToAddress(tx, userId, email);
        if (isTold) await mailbox.post(tx, { kind: 'email_changed', recipient: before, userId, content: { name, email, address: from, at } }, at);
        return { endsSessions: viewer?.userId === userId ? { except: viewer.sessionId } : true };
      });
      logger.info({ requestId, userId, address: from }, 'address changed');
    },

    async deleteAccount({ viewer, requestId }, password) {
      const known = requireSettled(viewer);
      await requirePassword(known, password);
      const [{ userId }, at] = [known, now()];
      await changeOwn(db, { userId }, at, async (tx, own) => {
        await requireDispensable(tx, own);
        return forgetUser(tx, own, { by: userId, at });
      });
      logger.info({ requestId, userId }, 'account deleted by its user');
    },
  };
}
