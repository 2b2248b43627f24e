import type { Viewer } from '@novacron/contracts';
import { DomainError } from '@novacron/core';
import { inTransaction } from '@novacron/database';
import type { Hashing, Passwords } from '../passwords.ts';
import type { Database } from '../store/database.ts';
import { countFailures, forgiveFailures, readRefusals } from '../store/sign-in-attempts.ts';
import { sessionThrottleKeyOf } from './devices.ts';

/** Asks who has signed in for its password once more: whoever finds a browser open can neither take the account along nor guess. */
export interface OwnPassword {
  /** What `then` makes of it in the same turn, with so many hashes. Errors: BAD_USER_INPUT (`field`), RATE_LIMITED after too many failures in the session. */
  check<Result>(asked: Asked, hashes: number, then: (hashing: Hashing) => Promise<Result>): Promise<Result>;
  /**
   * For what outlives the session: asked where that was opened a while ago, so that a stolen access token, or one that was refreshed, is not enough.
   * Errors: UNAUTHENTICATED (the session has ended), BAD_USER_INPUT (password), RATE_LIMITED as above.
   */
  requireRecent(viewer: Viewer, password: string | null | undefined): Promise<void>;
}

interface Asked {
  viewer: Viewer;
  typed: string;
  /** The hash of the viewer's password. */
  stored: string | null;
  field: string;
}

/** Whoever has signed in since then has shown who it is. */
const RECENT_MS = 10 * 60_000;

export function createOwnPassword({ db, passwords, now }: { db: Database; passwords: Passwords; now: () => Date }): OwnPassword {
  const check: OwnPassword['check'] = ({ viewer, typed, stored, field }, hashes, then) => {
    const throttle = sessionThrottleKeyOf(viewer.sessionId);
    return passwords.inTurn(hashes + 1, async (hashing) => {
      const [until] = (await readRefusals(db, [throttle], now())).values();
      if (until !== undefined) throw new DomainError('RATE_LIMITED', `Too many failed attempts: try again in ${Math.max(1, Math.ceil((until.getTime() - now().getTime()) / 1000))} s.`);
      if (!(await hashing.verify(typed, stored))) {
        await inTransaction(db, (tx) => countFailures(tx, [throttle], now()));
        throw new DomainError('BAD_USER_INPUT', 'This is not your password.', { field });
      }
      await forgiveFailures(db, throttle);
      return then(hashing);
    });
  };

  return {
    check,
    async requireRecent(viewer, password) {
      const { userId, sessionId } = viewer;
      const session = await db.session.findFirst({ where: { id: sessionId, userId, revokedAt: null }, select: { createdAt: true, user: { select: { passwordHash: true } } } });
      if (session === null) throw new DomainError('UNAUTHENTICATED', 'This session has ended: sign in again.');
      if (now().getTime() - session.createdAt.getTime() < RECENT_MS) return;
      if (password == null) throw new DomainError('BAD_USER_INPUT', 'You signed in more than 10 minutes ago: this needs your password.', { field: 'password' });
      await check({ viewer, typed: password, stored: session.user.passwordHash, field: 'password' }, 0, () => Promise.resolve());
    },
  };
}
