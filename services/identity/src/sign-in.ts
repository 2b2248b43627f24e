import { createHash, randomBytes } from 'node:crypto';
import { requireViewer, type Authenticator, type Viewer } from '@novacron/contracts';
import { DomainError, type SessionId } from '@novacron/core';
import type { Logger } from 'pino';
import type { AccessTokens } from './access-tokens.ts';
import type { Asker } from './accounts.ts';
import { findAccount, findViewer } from './directory.ts';
import type { Keyring } from './keyring.ts';
import type { Passwords } from './passwords.ts';
import type { SecondFactors } from './second-factor/second-factors.ts';
import { normalizeEmail } from './rules.ts';
import { endSession, openSession, rotateRefreshToken, type Origin } from './store/sessions.ts';
import { userRecord, USER_COLUMNS } from './store/records.ts';
import type { Database } from './store/database.ts';
import type { UserRecord, UserView } from './visibility.ts';

/** The password was right, and a code is owed: nothing else is told. */
export interface CodeOwed {
  owed: 'second_factor';
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

export interface SignIn {
  /** UNAUTHENTICATED, with one message and after the same work whatever was wrong. */
  login(credentials: { email: string; password: string; code?: string | null | undefined }, origin: Origin, requestId: string): Promise<SignedIn | CodeOwed>;
  /** Spends the token for a new pair. UNAUTHENTICATED otherwise; a token spent before ends its session. */
  refresh(refreshToken: string, origin: Origin, requestId: string): Promise<SignedIn>;
  /** Ends the viewer's session. Idempotent; UNAUTHENTICATED for nobody. */
  logout(asker: Asker): Promise<void>;
  authenticate: Authenticator['authenticate'];
}

interface SignInOptions {
  db: Database;
  passwords: Passwords;
  accessTokens: AccessTokens;
  secondFactors: SecondFactors;
  sessionLifetimeMs: number;
  now: () => Date;
  logger: Logger;
}

const REFRESH_TOKEN_BYTES = 32;
const DEVICE_MAX_LENGTH = 255;

export function createSignIn({ db, passwords, accessTokens, secondFactors, sessionLifetimeMs, now, logger }: SignInOptions): SignIn {
  async function signedIn(user: UserRecord, sessionId: SessionId, refreshToken: string): Promise<SignedIn> {
    const { token, expiresAt } = await accessTokens.issue({ userId: user.id, sessionId });
    return { accessToken: token, refreshToken, expiresAt, view: { user, viewer: { userId: user.id, sessionId, roles: user.roles } } };
  }

  return {
    async login({ email, password, code }, origin, requestId) {
      const address = normalizeEmail(email);
      const account = address === null ? null : await findAccount(db, address);
      const right = await passwords.verify(password, account?.passwordHash ?? null);
      if (account === null || !right) {
        logger.info({ requestId, address: origin.address }, 'sign-in refused');
        throw new DomainError('UNAUTHENTICATED', 'The e-mail address or the password is wrong.');
      }
      const { passwordHash: _, ...row } = account;
      const user = userRecord(row);
      const shown = await secondFactors.check(user.id, code?.trim() || null, tidy(origin));
      if (shown === 'owed') return { owed: 'second_factor' };
      if (shown === 'wrong') throw new DomainError('UNAUTHENTICATED', 'The code is wrong, or was used before.', { field: 'code' });
      const { token, tokenHash } = newRefreshToken();
      const session = { userId: user.id, tokenHash, origin: tidy(origin), secondFactor: shown === 'right', at: now(), lifetimeMs: sessionLifetimeMs };
      const sessionId = await openSession(db, session);
      logger.info({ requestId, userId: user.id, sessionId, address: origin.address }, 'signed in');
      return signedIn(user, sessionId, token);
    },

    async refresh(refreshToken, origin, requestId) {
      const { token, tokenHash: nextHash } = newRefreshToken();
      const rotation = await rotateRefreshToken(db, { tokenHash: hashOf(refreshToken), nextHash, origin: tidy(origin), at: now() });
      if (rotation.outcome === 'reused') {
        const { userId, sessionId } = rotation;
        logger.warn({ requestId, userId, sessionId, address: origin.address }, 'session revoked: a refresh token came back');
      }
      if (rotation.outcome !== 'rotated') {
        throw new DomainError('UNAUTHENTICATED', 'The refresh token is unknown, used or expired: sign in again.');
      }
      const row = await db.user.findUniqueOrThrow({ where: { id: rotation.userId }, select: USER_COLUMNS });
      return signedIn(userRecord(row), rotation.sessionId, token);
    },

    async logout({ viewer, requestId }) {
      const { userId, sessionId } = requireViewer(viewer);
      await endSession(db, { userId, sessionId }, now());
      logger.info({ requestId, userId, sessionId }, 'signed out');
    },

    async authenticate(accessToken) {
      const { issuedAt, expiresAt, ...claims } = await accessTokens.verify(accessToken);
      const viewer: Viewer | null = await findViewer(db, claims);
      if (viewer === null) throw new DomainError('UNAUTHENTICATED', 'This session has ended: sign in again.');
      return { viewer, issuedAt, expiresAt };
    },
  };
}

/** The gateway's side of it: who a token stands for, and by which keys anybody can check one. */
export const authenticatorOf = (signIn: SignIn, keyring: Keyring): Authenticator => ({
  authenticate: signIn.authenticate,
  jwks: keyring.jwks,
});

function newRefreshToken() {
  const token = randomBytes(REFRESH_TOKEN_BYTES).toString('base64url');
  return { token, tokenHash: hashOf(token) };
}

const hashOf = (token: string): Buffer<ArrayBuffer> => createHash('sha256').update(token).digest();

/** A header is whatever the client sends: PostgreSQL takes no NUL, and nobody reads a page of it. */
const tidy = ({ address, device }: Origin): Origin => ({
  address,
  device: device?.replaceAll(/\p{C}/gu, '').slice(0, DEVICE_MAX_LENGTH) ?? null,
});
