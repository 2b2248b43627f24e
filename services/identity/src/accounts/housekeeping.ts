import type { Logger } from 'pino';
import { removeUnclaimed } from '../store/claims.ts';
import type { Database } from '../store/database.ts';
import { forgetOldMailTokens } from '../store/mail-tokens.ts';
import { forgetOldSessions } from '../store/sessions.ts';
import { forgetOldAttempts } from '../store/sign-in-attempts.ts';

const DAY_MS = 24 * 3_600_000;
/** Accounts that nobody verified or took in by then are nobody's. */
const UNCLAIMED_MS = 7 * DAY_MS;

/** One round of forgetting what is of no use any more. It does not fail: the next one has more to do then. */
export const createHousekeeping = ({ db, now, logger }: { db: Database; now: () => Date; logger: Logger }) => async (): Promise<void> => {
  const at = now();
  try {
    const removed = await removeUnclaimed(db, new Date(at.getTime() - UNCLAIMED_MS));
    if (removed > 0) logger.info({ removed }, 'accounts removed that nobody verified');
    await forgetOldMailTokens(db, at);
    await forgetOldAttempts(db, at);
    await forgetOldSessions(db, at);
  } catch (err) {
    logger.warn({ err }, 'old accounts, attempts and sessions could not be forgotten');
  }
};
