import { requireSignedIn, type RequestContext } from '@novacron/contracts';
import { DomainError, type UserId } from '@novacron/core';
import { inTransaction } from '@novacron/database';
import type { Logger } from 'pino';
import type { Asker } from '../accounts.ts';
import type { Mailbox } from '../mail/mailbox.ts';
import { claimAddress, lockAddress } from '../store/claims.ts';
import type { MailTokenPurpose } from '../generated/prisma/enums.ts';
import type { Database, Transaction } from '../store/database.ts';
import { mayMail } from '../store/mails.ts';
import { countMailTokens, issueMailToken, readMailToken, spendMailToken } from '../store/mail-tokens.ts';
import { clearOfStrangers } from './strangers.ts';

/** Shows that somebody reads mail at its account's address. */
export interface Verification {
  /** Another mail, in place of the one before. Errors: UNAUTHENTICATED, INVALID_STATE (it is verified), RATE_LIMITED. */
  request(asker: Asker): Promise<void>;
  /**
   * The account has its address from now on. Whoever reads the mail need not be who registered: unless a session of the account asks, what was
   * put into it goes; sessions stay, as the password does that they came by. Errors: BAD_USER_INPUT (the token), INVALID_STATE (another account has the address).
   */
  verify(asker: RequestContext, token: string): Promise<void>;
}

interface VerificationOptions {
  db: Database;
  mailbox: Mailbox;
  now: () => Date;
  logger: Logger;
}

const MINUTE_MS = 60_000;
/** How long the link in the mail is good for. */
export const VERIFICATION_MS = 24 * 60 * MINUTE_MS;
/** So many mails of one kind in a quarter of an hour: none gets lost so often. */
export const MAILS = { most: 5, withinMs: 15 * MINUTE_MS } as const;

/** RATE_LIMITED once a user was sent so many. */
export async function requireFewMails(tx: Transaction, of: { userId: UserId; purpose: MailTokenPurpose }, at: Date): Promise<void> {
  if ((await countMailTokens(tx, of, new Date(at.getTime() - MAILS.withinMs))) < MAILS.most) return;
  throw new DomainError('RATE_LIMITED', `${MAILS.most} such mails were sent just now: look for them, or try again in a quarter of an hour.`);
}

export function createVerification({ db, mailbox, now, logger }: VerificationOptions): Verification {
  return {
    async request({ viewer, requestId }) {
      const { userId } = requireSignedIn(viewer);
      const at = now();
      await inTransaction(db, async (tx) => {
        const { email, name, emailVerified } = await tx.user.findUniqueOrThrow({ where: { id: userId }, select: { email: true, name: true, emailVerified: true } });
        if (emailVerified) throw new DomainError('INVALID_STATE', 'Your address is verified already.');
        await requireFewMails(tx, { userId, purpose: 'verify_email' }, at);
        if (!(await mayMail(tx, { recipient: email, kind: 'verify_email' }, at))) return; // and the one before stays good
        const token = await issueMailToken(tx, { userId, email, purpose: 'verify_email', lifetimeMs: VERIFICATION_MS }, at);
        await mailbox.post(tx, { kind: 'verify_email', recipient: email, userId, content: { name, token } }, at);
      });
      logger.info({ requestId, userId }, 'verification mail asked for');
    },

    async verify({ viewer, requestId, address }, token) {
      const at = now();
      const proof = await readMailToken(db, 'verify_email', token, at);
      await inTransaction(db, async (tx) => {
        await lockAddress(tx, proof.email);
        await spendMailToken(tx, 'verify_email', token, at);
        await claimAddress(tx, proof);
        const isOwn = viewer?.userId === proof.userId && viewer.scopes === undefined;
        if (!isOwn) await clearOfStrangers(tx, mailbox, { ...proof, address }, at);
      });
      logger.info({ requestId, userId: proof.userId }, 'address verified');
    },
  };
}
