import { errors, jwtVerify, SignJWT } from 'jose';
import { DomainError, isId, newId, type SessionId, type UserId } from '@novacron/core';
import type { Keyring } from './keyring.ts';
import { TOKEN_ALGORITHMS } from './store/signing-keys.ts';

const ISSUER = 'novacron';
const AUDIENCE = 'novacron';
const TYPE = 'JWT';
/** How far the clocks of processes that sign may be ahead of ours. */
const CLOCKS_DIFFER_MS = 60_000;

export interface AccessTokenClaims {
  userId: UserId;
  sessionId: SessionId;
}

export interface AccessTokens {
  issue(claims: AccessTokenClaims): Promise<{ token: string; expiresAt: Date }>;
  /** What a token of ours says. UNAUTHENTICATED when it is malformed, forged, not for us or expired. */
  verify(token: string): Promise<AccessTokenClaims & { issuedAt: Date; expiresAt: Date }>;
}

export function createAccessTokens({ keyring, now, lifetimeMs }: { keyring: Keyring; now: () => Date; lifetimeMs: number }): AccessTokens {
  return {
    async issue({ userId, sessionId }) {
      const { kid, algorithm, key } = await keyring.signingKey();
      const issuedAt = Math.floor(now().getTime() / 1000);
      const expiry = issuedAt + Math.floor(lifetimeMs / 1000);
      const token = await new SignJWT({ sid: sessionId })
        .setProtectedHeader({ alg: algorithm, typ: TYPE, kid })
        .setIssuer(ISSUER)
        .setAudience(AUDIENCE)
        .setSubject(userId)
        .setJti(newId())
        .setIssuedAt(issuedAt)
        .setExpirationTime(expiry)
        .sign(key);
      return { token, expiresAt: new Date(expiry * 1000) };
    },

    async verify(token) {
      const keyOf = async ({ kid, alg }: { kid?: string | undefined; alg?: string | undefined }) => {
        const known = kid === undefined ? null : await keyring.verificationKey(kid);
        if (known === null || known.algorithm !== alg) throw refusal(); // a key is good for the one algorithm that it was made for
        return known.key;
      };
      try {
        const { payload } = await jwtVerify(token, keyOf, {
          algorithms: [...TOKEN_ALGORITHMS], // never what the token itself asks for: RFC 8725, 3.1
          issuer: ISSUER,
          audience: AUDIENCE,
          typ: TYPE,
          currentDate: now(),
          requiredClaims: ['sub', 'sid', 'jti', 'iat', 'exp'],
        });
        const { sub, sid, iat, exp } = payload;
        if (typeof sub !== 'string' || typeof sid !== 'string' || iat === undefined || exp === undefined || !isId(sub) || !isId(sid)) throw refusal();
        if (iat * 1000 > now().getTime() + CLOCKS_DIFFER_MS) throw refusal();
        // we signed it: both are ids that we made
        return { userId: sub as UserId, sessionId: sid as SessionId, issuedAt: new Date(iat * 1000), expiresAt: new Date(exp * 1000) };
      } catch (error) {
        if (error instanceof errors.JWTExpired) throw refusal('The access token has expired: refresh the session.', error);
        if (error instanceof errors.JOSEError) throw refusal(undefined, error);
        throw error;
      }
    },
  };
}

const refusal = (message = 'The access token is not valid: sign in again.', cause?: unknown) =>
  new DomainError('UNAUTHENTICATED', message, { cause });
