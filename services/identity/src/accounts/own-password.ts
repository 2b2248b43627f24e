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
}

interface Asked {
  viewer: Viewer;
  typed: string;
  /** The hash of the viewer's password. */
  stored: string | null;
  field: string;
}

export const createOwnPassword = ({ db, passwords, now }: { db: Database; passwords: Passwords; now: () => Date }): OwnPassword => ({
  check({ viewer, typed, stored, field }, hashes, then) {
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
  },
});
