import { createHash } from 'node:crypto';
import { DomainError, type UserId } from '@novacron/core';
import type { MailKind } from '../mail/mails.ts';
import type { Database, Transaction } from './database.ts';

/** Every write about mails that are there. Of two who take one, one has it. */

export interface TakenMail {
  id: string;
  kind: string;
  recipient: string;
  content: Uint8Array<ArrayBuffer>;
  keyId: string;
  createdAt: Date;
  /** Which try this is, counted from 1. */
  attempts: number;
}

const TAKEN = { id: true, kind: true, recipient: true, content: true, keyId: true, createdAt: true, attempts: true } as const;

/** Takes the mail for a try until `until`: who is lost meanwhile leaves it to the next. Null when it is not due. */
export async function takeMail(db: Database, id: string, { at, until }: { at: Date; until: Date }): Promise<TakenMail | null> {
  const [taken] = await db.mail.updateManyAndReturn({
    where: { id, state: 'QUEUED', dueAt: { lte: at } },
    data: { attempts: { increment: 1 }, dueAt: until },
    select: TAKEN,
  });
  return taken ?? null;
}

/** The server has it: whatever became of the mail here, it is out. What it said is forgotten. */
export async function mailSent(db: Database, id: string, at: Date): Promise<void> {
  await db.mail.updateMany({ where: { id }, data: { state: 'SENT', sentAt: at, dueAt: null, error: null, content: new Uint8Array() } });
}

/** This try has failed; `dueAt`: when the next one is, null for none. Another's try is not touched. */
export async function mailFailed(db: Database, { id, attempts }: TakenMail, error: string, dueAt: Date | null): Promise<void> {
  await db.mail.updateMany({ where: { id, state: 'QUEUED', attempts }, data: { error, dueAt, ...(dueAt === null ? { state: 'DEAD' } : {}) } });
}

/** Those that are due, the longest overdue first. */
export const dueMails = (db: Database, at: Date, limit: number): Promise<{ id: string; attempts: number }[]> =>
  db.mail.findMany({ where: { state: 'QUEUED', dueAt: { lte: at } }, orderBy: { dueAt: 'asc' }, take: limit, select: { id: true, attempts: true } });

/** Ends those that were due before `waitingSince`, since nobody takes them anywhere; and forgets all from before `keptSince`. */
export async function tidyMails(db: Database, { waitingSince, keptSince, error }: { waitingSince: Date; keptSince: Date; error: string }): Promise<void> {
  await db.mail.updateMany({ where: { state: 'QUEUED', dueAt: { lt: waitingSince } }, data: { state: 'DEAD', dueAt: null, error } });
  await db.mail.deleteMany({ where: { state: { not: 'QUEUED' }, createdAt: { lt: keptSince } } });
}

/** Tries again from the beginning, now. NOT_FOUND; INVALID_STATE for what is out. */
export async function retryMail<Columns extends object>(db: Database, id: string, at: Date, select: Columns) {
  const [mail] = await db.mail.updateManyAndReturn({ where: { id, state: { not: 'SENT' } }, data: { state: 'QUEUED', attempts: 0, dueAt: at }, select });
  if (mail !== undefined) return mail;
  const sent = await db.mail.findUnique({ where: { id }, select: { id: true } });
  if (sent === null) throw new DomainError('NOT_FOUND', 'There is no mail with this id.', { field: 'id' });
  throw new DomainError('INVALID_STATE', 'This mail was sent: what stood in it is forgotten.', { field: 'id' });
}

const HOUR_MS = 3_600_000;
/** So many of one kind within an hour: nobody's mailbox is filled by others, whoever and however many they are. */
const MOST_PER_RECIPIENT = 5;

/** As whom somebody is counted who is deleted. */
const forgotten = (recipient: string): string => `sha256:${createHash('sha256').update(recipient).digest('hex')}`;

/**
 * May another mail of this kind be posted to that address? Where it may not, the answer stays the same, and nothing is sent. One after the
 * other for each address, until the transaction ends: the last of its locks.
 */
export async function mayMail(tx: Transaction, { recipient, kind }: { recipient: string; kind: MailKind }, at: Date): Promise<boolean> {
  await tx.$executeRaw`SELECT pg_advisory_xact_lock(hashtextextended(${`identity: mails to ${recipient}`}, 0))`;
  const sent = await tx.mail.count({ where: { recipient: { in: [recipient, forgotten(recipient)] }, kind, createdAt: { gt: new Date(at.getTime() - HOUR_MS) } } });
  return sent < MOST_PER_RECIPIENT;
}

/** The mails of who is deleted: of those that may have been sent within the hour no more is left than what mayMail counts, of the others nothing. */
export async function forgetMails(tx: Transaction, userId: UserId, at: Date): Promise<void> {
  const left = { state: 'SENT', dueAt: null, error: null, content: new Uint8Array(), userId: null, tenantId: null } as const;
  const counted = await tx.mail.findMany({ where: { userId, attempts: { gt: 0 }, createdAt: { gt: new Date(at.getTime() - HOUR_MS) } }, select: { id: true, recipient: true } });
  for (const { id, recipient } of counted) await tx.mail.update({ where: { id }, data: { ...left, recipient: forgotten(recipient) } });
  await tx.mail.deleteMany({ where: { userId } });
}
