import { createHash, randomBytes } from 'node:crypto';
import { DomainError, newId, type UserId } from '@novacron/core';
import type { MailTokenPurpose } from '../generated/prisma/enums.ts';
import type { Database, Transaction } from './database.ts';

/** Every write about what mailed links prove: each is good once, for a while, for one purpose. */

export interface MailToken {
  userId: UserId;
  /** Where it was sent: who has it reads mail there. */
  email: string;
}

const TOKEN_BYTES = 32;

const hashOf = (token: string): Buffer<ArrayBuffer> => createHash('sha256').update(token).digest();

/** A new token, in place of any older one for this purpose. It is kept as a hash: who asks writes it into the mail. */
export async function issueMailToken(
  tx: Transaction,
  { userId, email, purpose, lifetimeMs }: MailToken & { purpose: MailTokenPurpose; lifetimeMs: number },
  at: Date,
): Promise<string> {
  const token = randomBytes(TOKEN_BYTES).toString('base64url');
  await endMailTokens(tx, { userId, purpose }, at);
  const expiresAt = new Date(at.getTime() + lifetimeMs);
  await tx.mailToken.create({ data: { id: newId(), userId, email, purpose, tokenHash: hashOf(token), createdAt: at, expiresAt } });
  return token;
}

/** Those of a user that were not used are no good any more. */
export async function endMailTokens(tx: Transaction, { userId, purpose }: { userId: UserId; purpose: MailTokenPurpose }, at: Date): Promise<void> {
  await tx.mailToken.updateMany({ where: { userId, purpose, usedAt: null }, data: { usedAt: at } });
}

/** Who follows one of these decides whose the account is, and whoever knew the password could have asked for it. */
const OF_THE_OWNER: MailTokenPurpose[] = ['reset_password', 'change_email', 'invitation'];

/** No link that was mailed until now hands the account to anybody. */
export async function endOwnersMailTokens(tx: Transaction, userId: UserId, at: Date): Promise<void> {
  await tx.mailToken.updateMany({ where: { userId, purpose: { in: OF_THE_OWNER }, usedAt: null }, data: { usedAt: at } });
}

/** How many a user was sent since then, used or not. */
export const countMailTokens = (tx: Transaction, { userId, purpose }: { userId: UserId; purpose: MailTokenPurpose }, since: Date): Promise<number> =>
  tx.mailToken.count({ where: { userId, purpose, createdAt: { gt: since } } });

const isGood = (purpose: MailTokenPurpose, token: string, at: Date) => ({ tokenHash: hashOf(token), purpose, usedAt: null, expiresAt: { gt: at } });

/** What a token proves, without spending it. BAD_USER_INPUT (token) when it is unknown, used, replaced or expired. */
export async function readMailToken(sql: Database | Transaction, purpose: MailTokenPurpose, token: string, at: Date): Promise<MailToken> {
  const row = await sql.mailToken.findFirst({ where: isGood(purpose, token, at), select: { userId: true, email: true } });
  if (row === null) throw noGood();
  return { userId: row.userId as UserId, email: row.email }; // ids leave the table here: the brand exists only for the compiler
}

/** Spends a token: once, under any race. BAD_USER_INPUT (token) as above. */
export async function spendMailToken(tx: Transaction, purpose: MailTokenPurpose, token: string, at: Date): Promise<MailToken> {
  const [row] = await tx.mailToken.updateManyAndReturn({ where: isGood(purpose, token, at), data: { usedAt: at }, select: { userId: true, email: true } });
  if (row === undefined) throw noGood();
  return { userId: row.userId as UserId, email: row.email }; // as above
}

/** Those that have expired a day ago, used or not. */
export async function forgetOldMailTokens(db: Database, at: Date): Promise<void> {
  await db.mailToken.deleteMany({ where: { expiresAt: { lte: new Date(at.getTime() - 24 * 3_600_000) } } });
}

const noGood = () => new DomainError('BAD_USER_INPUT', 'This link is unknown, was used before or has expired: ask for another one.', { field: 'token' });
