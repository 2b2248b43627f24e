import { requireViewer, type Authenticator, type Viewer } from '@novacron/contracts';
import { DomainError } from '@novacron/core';
import type { Logger } from 'pino';
import type { AccessTokens } from './access-tokens.ts';
import type { Asker } from './accounts.ts';
import type { Credentials } from './accounts/credentials.ts';
import { accountKeyOf } from './accounts/devices.ts';
import { hashOfRefreshToken, newRefreshToken, tidy, type Admission, type Owed, type SignedIn } from './admission.ts';
import { findViewer } from './directory.ts';
import type { Keyring } from './keyring.ts';
import { isApiToken, type ApiTokens } from './machines/api-tokens.ts';
import { endSession, rotateRefreshToken, type Origin } from './store/sessions.ts';
import { recordAttempt } from './store/sign-in-attempts.ts';
import { userRecord, USER_COLUMNS } from './store/records.ts';
import type { Database } from './store/database.ts';

export interface SignIn {
  /** UNAUTHENTICATED, with one message and after the same work whatever was wrong. */
  login(credentials: { email: string; password: string; code?: string | null | undefined }, origin: Origin, requestId: string): Promise<SignedIn | Owed>;
  /** Spends the token for a new pair. UNAUTHENTICATED otherwise; a token spent before ends its session. */
  refresh(refreshToken: string, origin: Origin, requestId: string): Promise<SignedIn>;
  /** Ends the viewer's session. Idempotent; UNAUTHENTICATED for nobody. */
  logout(asker: Asker): Promise<void>;
  authenticate: Authenticator['authenticate'];
}

interface SignInOptions {
  db: Database;
  credentials: Credentials;
  accessTokens: AccessTokens;
  admission: Admission;
  now: () => Date;
  logger: Logger;
}

export function createSignIn({ db, credentials, accessTokens, admission, now, logger }: SignInOptions): SignIn {
  return {
    async login({ email, password, code }, origin, requestId) {
      const proven = await credentials.check({ login: email, password }, tidy(origin), requestId);
      const admitted = await admission.admit({ ...proven, code: code ?? null }, origin, requestId);
      if ('owed' in admitted && admitted.owed === 'verification') {
        throw new DomainError('FORBIDDEN', 'Show first that this address is yours: follow the link in the mail that was sent to it.');
      }
      return admitted;
    },

    async refresh(refreshToken, origin, requestId) {
      const { token, tokenHash: nextHash } = newRefreshToken();
      const rotation = await rotateRefreshToken(db, { tokenHash: hashOfRefreshToken(refreshToken), nextHash, origin: tidy(origin), at: now() });
      if (rotation.outcome === 'reused') {
        const { userId, sessionId } = rotation;
        logger.warn({ requestId, userId, sessionId, address: origin.address }, 'session revoked: a refresh token came back');
        await recordAttempt(db, { userId, account: accountKeyOf(userId), outcome: 'token_reused', origin: tidy(origin), known: false, at: now() });
      }
      if (rotation.outcome !== 'rotated') {
        throw new DomainError('UNAUTHENTICATED', 'The refresh token is unknown, used or expired: sign in again.');
      }
      const row = await db.user.findUniqueOrThrow({ where: { id: rotation.userId }, select: USER_COLUMNS });
      return admission.issue(userRecord(row), rotation.sessionId, token);
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
export const authenticatorOf = (signIn: SignIn, apiTokens: ApiTokens, keyring: Keyring): Authenticator => ({
  authenticate: (token, address) => (isApiToken(token) ? apiTokens : signIn).authenticate(token, address),
  jwks: keyring.jwks,
});
