import { DomainError } from '@novacron/core';
import type { Logger } from 'pino';
import { findCandidates, type AccountWithPassword } from '../directory.ts';
import type { Passwords } from '../passwords.ts';
import type { Proven } from '../admission.ts';
import { replaceHash } from '../store/credentials.ts';
import type { Database } from '../store/database.ts';
import { userRecord } from '../store/records.ts';
import type { Origin } from '../store/sessions.ts';

/** What somebody types to sign in: an address or a user name, and a password. */
export interface Typed {
  login: string;
  password: string;
}

/** Looks at passwords. */
export interface Credentials {
  /**
   * Whose they are. UNAUTHENTICATED, with one message and after the same work whatever was wrong; RATE_LIMITED while too many
   * people sign in.
   */
  check(typed: Typed, origin: Origin, requestId: string): Promise<Omit<Proven, 'code'>>;
}

interface CredentialsOptions {
  db: Database;
  passwords: Passwords;
  logger: Logger;
}

/** For each of the accounts that may be meant one, whether or not it is there. */
const HASHES = 2;

export function createCredentials({ db, passwords, logger }: CredentialsOptions): Credentials {
  /** Hashes grow dearer with the years: whoever signs in has just shown what is to be hashed again. */
  async function renew({ id, passwordHash }: AccountWithPassword, password: string): Promise<void> {
    if (passwordHash === null || !passwords.isOutdated(passwordHash)) return;
    await replaceHash(db, { userId: id, from: passwordHash, to: await passwords.hash(password) });
  }

  return {
    async check({ login, password }, origin, requestId) {
      const { owner, waiting } = await findCandidates(db, login);
      const account = await passwords.inTurn(HASHES, async ({ verify }) => {
        const isOwner = await verify(password, owner?.passwordHash ?? null);
        const isWaiting = await verify(password, waiting?.passwordHash ?? null);
        return isOwner ? owner : isWaiting ? waiting : null;
      });
      if (account === null || account.deactivatedAt !== null) {
        logger.info({ requestId, address: origin.address }, 'sign-in refused');
        throw new DomainError('UNAUTHENTICATED', 'The e-mail address or the password is wrong.');
      }
      await renew(account, password);
      const { passwordHash: _, emailClaimed, ...row } = account;
      return { user: userRecord(row), emailClaimed };
    },
  };
}
