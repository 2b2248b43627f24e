import { requireSignedIn } from '@novacron/contracts';
import { DomainError, parseId, type SessionId, type UserId } from '@novacron/core';
import type { Logger } from 'pino';
import type { Asker } from '../accounts.ts';
import type { Database } from '../store/database.ts';
import { userRecord, USER_COLUMNS } from '../store/records.ts';
import { endSession, endSessions } from '../store/sessions.ts';
import { requireAdministers, viewUser } from '../visibility.ts';

/** What people do with their sessions, and administrators with others'. No API token does. */
export interface Sessions {
  /** Ends a session: one's own, or another's with session:revoke in all its tenants. Idempotent. Errors: FORBIDDEN, NOT_FOUND. */
  revoke(asker: Asker, id: string | number): Promise<void>;
  /** Ends all sessions of the viewer but the one that asks, and says how many they were. Errors: FORBIDDEN. */
  revokeOthers(asker: Asker): Promise<number>;
}

export function createSessions({ db, now, logger }: { db: Database; now: () => Date; logger: Logger }): Sessions {
  return {
    async revoke({ viewer: someone, requestId }, id) {
      const viewer = requireSignedIn(someone);
      const sessionId = parseId<SessionId>(id, 'session', 'id');
      const session = await db.session.findUnique({ where: { id: sessionId }, select: { user: { select: USER_COLUMNS } } });
      const view = viewUser(session && userRecord(session.user), viewer);
      if (view === null) throw new DomainError('NOT_FOUND', 'There is no session with this id.', { field: 'id' });
      const userId: UserId = view.user.id;
      if (userId !== viewer.userId) requireAdministers(view, 'session:revoke');
      await endSession(db, { userId, sessionId }, now());
      logger.info({ requestId, by: viewer.userId, userId, sessionId }, 'session revoked');
    },

    async revokeOthers({ viewer, requestId }) {
      const { userId, sessionId } = requireSignedIn(viewer);
      const ended = await db.$transaction((tx) => endSessions(tx, { userId, except: sessionId }, now()));
      logger.info({ requestId, userId, sessionId, ended }, 'other sessions revoked');
      return ended;
    },
  };
}
