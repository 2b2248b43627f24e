import { createHash, randomBytes } from 'node:crypto';
import { DomainError, type SessionId, type UserId } from '@novacron/core';
import { inTransaction } from '@novacron/database';
import type { Logger } from 'pino';
import type { AccessTokens } from './access-tokens.ts';
import { accountKeyOf, fingerprintOf } from './accounts/devices.ts';
import type { Mailbox } from './mail/mailbox.ts';
import type { SecondFactors } from './second-factor/second-factors.ts';
import { readSetting } from './settings/settings.ts';
import type { Database } from './store/database.ts';
import { hasSecondFactorByNow } from './store/second-factors.ts';
import { openSession, type Origin } from './store/sessions.ts';
import { recordAttempt, rememberDevice } from './store/sign-in-attempts.ts';
import type { UserRecord, UserView } from './visibility.ts';

/** The password was right, and something is owed: nothing else is told. */
export interface Owed {
  owed: 'second_factor' | 'verification';
}

/** What somebody gets who has proven who it is. */
export interface SignedIn {
  accessToken: string;
  refreshToken: string;
  /** The access token's. */
  expiresAt: Date;
  /** The user as it sees itself. */
  view: UserView;
}

/** Who has proven who it is by a password, or by a link that was mailed. */
export interface Proven {
  user: UserRecord;
  /** Is the address known to be its own? */
  emailClaimed: boolean;
  /** Of the second factor. */
  code: string | null;
  /** Since when the password that was shown is the account's; absent where a link was. */
  passwordSince?: Date | null;
}

/** Opens sessions: what every way of signing in ends with. */
export interface Admission {
  /** UNAUTHENTICATED (code) for a wrong code, RATE_LIMITED after too many of them. */
  admit(proven: Proven, origin: Origin, requestId: string): Promise<SignedIn | Owed>;
  /** New tokens in a session. */
  issue(user: UserRecord, sessionId: SessionId, refreshToken: string): Promise<SignedIn>;
}

interface AdmissionOptions {
  db: Database;
  accessTokens: AccessTokens;
  secondFactors: SecondFactors;
  mailbox: Mailbox;
  sessionLifetimeMs: number;
  now: () => Date;
  logger: Logger;
}

const REFRESH_TOKEN_BYTES = 32;
const DEVICE_MAX_LENGTH = 255;

export function createAdmission({ db, accessTokens, secondFactors, mailbox, sessionLifetimeMs, now, logger }: AdmissionOptions): Admission {
  async function issue(user: UserRecord, sessionId: SessionId, refreshToken: string): Promise<SignedIn> {
    const { token, expiresAt } = await accessTokens.issue({ userId: user.id, sessionId });
    return { accessToken: token, refreshToken, expiresAt, view: { user, viewer: { userId: user.id, sessionId, roles: user.roles } } };
  }

  /** A wrong code is remembered like a wrong password. */
  async function checkCode(user: UserRecord, code: string | null, attempt: { userId: UserId; account: Buffer<ArrayBuffer>; origin: Origin }) {
    const record = (outcome: 'wrong_code' | 'locked') => recordAttempt(db, { ...attempt, outcome, known: false, at: now() });
    const shown = await secondFactors.check(user.id, code, attempt.origin).catch(async (error: unknown) => {
      if (error instanceof DomainError && error.code === 'RATE_LIMITED') await record('locked');
      throw error;
    });
    if (shown !== 'wrong') return shown;
    await record('wrong_code');
    throw new DomainError('UNAUTHENTICATED', 'The code is wrong, or was used before.', { field: 'code' });
  }

  return {
    issue,
    async admit({ user, emailClaimed, code, passwordSince }, from, requestId) {
      const origin = tidy(from);
      if (!emailClaimed && (await readSetting(db, 'signIn.verifiedOnly'))) return { owed: 'verification' };
      const attempt = { userId: user.id, account: accountKeyOf(user.email), origin };
      const shown = await checkCode(user, code?.trim() || null, attempt);
      if (shown === 'owed') return { owed: 'second_factor' };
      const at = now();
      const { token, tokenHash } = newRefreshToken();
      const sessionId = await inTransaction(db, async (tx) => {
        const hasOne = await hasSecondFactorByNow(tx, user.id);
        if (shown === 'none' && hasOne) return null;
        const id = await openSession(tx, { userId: user.id, tokenHash, origin, secondFactor: shown === 'right' && hasOne, at, lifetimeMs: sessionLifetimeMs });
        // it is locked by now: whoever changes the password comes before, or ends this session, too
        if (passwordSince !== undefined && (await tx.user.count({ where: { id: user.id, passwordChangedAt: passwordSince } })) === 0) {
          throw new DomainError('UNAUTHENTICATED', 'The password was changed just now: sign in with the new one.');
        }
        const seen = await rememberDevice(tx, user.id, fingerprintOf(origin), at);
        await recordAttempt(tx, { ...attempt, outcome: 'succeeded', known: seen === 'known', at });
        // to nobody who might be a stranger
        if (seen === 'new' && emailClaimed) await mailbox.post(tx, { kind: 'new_device', recipient: user.email, userId: user.id, content: { name: user.name, ...origin, at } }, at);
        return id;
      });
      if (sessionId === null) return { owed: 'second_factor' };
      logger.info({ requestId, userId: user.id, sessionId, address: origin.address }, 'signed in');
      return issue(user, sessionId, token);
    },
  };
}

export function newRefreshToken() {
  const token = randomBytes(REFRESH_TOKEN_BYTES).toString('base64url');
  return { token, tokenHash: hashOfRefreshToken(token) };
}

export const hashOfRefreshToken = (token: string): Buffer<ArrayBuffer> => createHash('sha256').update(token).digest();

/** A header is whatever the client sends: PostgreSQL takes no NUL, and nobody reads a page of it. */
export const tidy = ({ address, device }: Origin): Origin => ({
  address,
  device: device?.replaceAll(/\p{C}/gu, '').slice(0, DEVICE_MAX_LENGTH) ?? null,
});
