import { requirePermission, type Viewer } from '@novacron/contracts';
import { parseId } from '@novacron/core';
import { byIdDescending, parsePage, toConnection, type Connection, type PageArguments } from '@novacron/graphql';
import type { Logger } from 'pino';
import type { Asker } from '../accounts.ts';
import type { Database } from '../store/database.ts';
import { retryMail } from '../store/mails.ts';

/** A mail without what stands in it. */
export interface MailRecord {
  id: string;
  kind: string;
  recipient: string;
  userId: string | null;
  state: 'QUEUED' | 'SENT' | 'DEAD';
  attempts: number;
  error: string | null;
  createdAt: Date;
  dueAt: Date | null;
  sentAt: Date | null;
}

export interface MailState {
  /** Is there a server to take mails to? */
  configured: boolean;
  queued: number;
  /** Those of the queued ones that the server has not taken at least once. */
  failing: number;
  dead: number;
  oldestQueuedAt: Date | null;
  /** Why the newest of the failing ones was not taken. */
  lastError: string | null;
}

/** What administrators see of mails, and do. */
export interface PostOffice {
  /** Errors: FORBIDDEN. */
  state(viewer: Viewer | null): Promise<MailState>;
  /** Those that were given up, the newest first. Errors: FORBIDDEN, BAD_USER_INPUT (the page). */
  dead(viewer: Viewer | null, args: PageArguments): Promise<Connection<MailRecord>>;
  /** Tries again from the beginning. Errors: FORBIDDEN, NOT_FOUND, INVALID_STATE (it was sent). */
  retry(asker: Asker, id: string): Promise<MailRecord>;
}

const COLUMNS = { id: true, kind: true, recipient: true, userId: true, state: true, attempts: true, error: true, createdAt: true, dueAt: true, sentAt: true } as const;

export function createPostOffice({ db, configured, ring, now, logger }: { db: Database; configured: boolean; ring(mailId: string): void; now: () => Date; logger: Logger }): PostOffice {
  return {
    async state(viewer) {
      requirePermission(viewer, 'mail:read');
      const [queued, failing, dead, oldest, newest] = await Promise.all([
        db.mail.count({ where: { state: 'QUEUED' } }),
        db.mail.count({ where: { state: 'QUEUED', error: { not: null } } }),
        db.mail.count({ where: { state: 'DEAD' } }),
        db.mail.findFirst({ where: { state: 'QUEUED' }, orderBy: { createdAt: 'asc' }, select: { createdAt: true } }),
        db.mail.findFirst({ where: { state: 'QUEUED', error: { not: null } }, orderBy: { createdAt: 'desc' }, select: { error: true } }),
      ]);
      return { configured, queued, failing, dead, oldestQueuedAt: oldest?.createdAt ?? null, lastError: newest?.error ?? null };
    },

    async dead(viewer, args) {
      requirePermission(viewer, 'mail:read');
      const page = parsePage(args);
      const range = byIdDescending(page);
      const rows = await db.mail.findMany({ ...range, where: { AND: [{ state: 'DEAD' }, range.where] }, select: COLUMNS });
      return toConnection(rows, page, ({ id }) => [id], () => db.mail.count({ where: { state: 'DEAD' } }));
    },

    async retry({ viewer, requestId }, text) {
      const { userId: by } = requirePermission(viewer, 'mail:retry');
      const id = parseId<string>(text, 'mail', 'id');
      const mail = await retryMail(db, id, now(), COLUMNS);
      ring(id);
      logger.info({ requestId, by, mailId: id, kind: mail.kind }, 'mail tried again');
      return mail;
    },
  };
}
