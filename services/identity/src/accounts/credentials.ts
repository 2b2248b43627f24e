import { DomainError } from '@novacron/core';
import { inTransaction } from '@novacron/database';
import type { Logger } from 'pino';
import type { Proven } from '../admission.ts';
import { findCandidates, type AccountWithPassword } from '../directory.ts';
import type { Passwords } from '../passwords.ts';
import { replaceHash } from '../store/credentials.ts';
import type { Database } from '../store/database.ts';
import { userRecord } from '../store/records.ts';
import type { Origin } from '../store/sessions.ts';
import { countFailures, findKnownDevices, forgiveFailures, readRefusals, recordAttempt } from '../store/sign-in-attempts.ts';
import { accountKeyOf, fingerprintOf, throttleKeyOf, type Place } from './devices.ts';

/** What somebody types to sign in: an address or a user name, and a password. */
export interface Typed {
  login: string;
  password: string;
}

/** Looks at passwords. */
export interface Credentials {
  /**
   * Whose they are. UNAUTHENTICATED, with one message and after the same work whatever was wrong; RATE_LIMITED after too many
   * failures, and while too many people sign in.
   */
  check(typed: Typed, origin: Origin, requestId: string): Promise<Omit<Proven, 'code'>>;
}

interface CredentialsOptions {
  db: Database;
  passwords: Passwords;
  now: () => Date;
  logger: Logger;
}

/** One of the accounts that may be meant, whether or not it is there. */
interface Candidate {
  account: AccountWithPassword | null;
  /** What its failures are counted for. */
  key: Buffer<ArrayBuffer>;
  known: boolean;
}

/** Why a password is not looked at. */
interface Refused {
  until: Date;
}

export function createCredentials({ db, passwords, now, logger }: CredentialsOptions): Credentials {
  async function candidatesFor(login: string, origin: Origin): Promise<[Candidate, Candidate]> {
    const { owner, waiting } = await findCandidates(db, login);
    const device = fingerprintOf(origin);
    const known = new Set((await findKnownDevices(db, [owner, waiting].flatMap((account) => account?.id ?? []), device)).map(({ userId }) => userId));
    const candidate = (account: AccountWithPassword | null, place: Place): Candidate => {
      const isKnown = account !== null && known.has(account.id);
      return { account, known: isKnown, key: throttleKeyOf(accountKeyOf(login), place, isKnown ? device : null) };
    };
    return [candidate(owner, 'owner'), candidate(waiting, 'waiting')];
  }

  /** Until when each of them is refused; null: not now. */
  async function refusalsOf(candidates: readonly Candidate[]): Promise<(Date | null)[]> {
    const refusals = await readRefusals(db, candidates.map(({ key }) => key), now());
    return candidates.map(({ key }) => refusals.get(key.toString('hex')) ?? null);
  }

  const refusedUntil = (refusals: readonly (Date | null)[]): Date | null =>
    refusals.reduce((first, until) => (first === null || until === null ? null : first < until ? first : until));

  /** Hashes grow dearer with the years: whoever signs in has just shown what is to be hashed again. */
  async function renew({ id, passwordHash }: AccountWithPassword, password: string): Promise<void> {
    if (passwordHash === null || !passwords.isOutdated(passwordHash)) return;
    await replaceHash(db, { userId: id, from: passwordHash, to: await passwords.hash(password) });
  }

  return {
    async check({ login, password }, origin, requestId) {
      passwords.requireRoom();
      const candidates = await candidatesFor(login, origin);
      const [owner, waiting] = candidates;
      const attempt = { userId: owner.account?.id ?? waiting.account?.id ?? null, account: accountKeyOf(login), origin, known: owner.known || waiting.known };

      /** In its turn: what the guess before came to counts already. */
      async function look(verify: (password: string, stored: string | null) => Promise<boolean>): Promise<Candidate | Refused | null> {
        const refusals = await refusalsOf(candidates);
        const until = refusedUntil(refusals);
        if (until !== null) return { until };
        const right: (Candidate | null)[] = [];
        for (const [index, candidate] of candidates.entries()) {
          const stored = refusals[index] === null ? (candidate.account?.passwordHash ?? null) : null;
          right.push((await verify(password, stored)) ? candidate : null);
        }
        const [isOwner, isWaiting] = right.map((candidate) => (candidate?.account?.deactivatedAt === null ? candidate : null));
        if (isOwner != null) return isOwner;
        // Whoever waits for an address could guess at its owner's password with its own: that is counted, too.
        const wrong = candidates.filter((candidate, index) => refusals[index] === null && candidate !== isWaiting);
        const at = now();
        await inTransaction(db, async (tx) => {
          await countFailures(tx, wrong.map(({ key }) => key), at);
          if (isWaiting == null) await recordAttempt(tx, { ...attempt, outcome: right.some((candidate) => candidate !== null) ? 'deactivated' : 'wrong_password', at });
        });
        return isWaiting ?? null;
      }

      async function refuse(until: Date): Promise<never> {
        const at = now();
        await recordAttempt(db, { ...attempt, outcome: 'locked', at });
        logger.info({ requestId, userId: attempt.userId, address: origin.address }, 'sign-in locked');
        throw new DomainError('RATE_LIMITED', `Too many failed attempts: try again in ${Math.max(1, Math.ceil((until.getTime() - at.getTime()) / 1000))} s, or from a device that you have signed in at before.`);
      }

      const early = refusedUntil(await refusalsOf(candidates));
      if (early !== null) return refuse(early);
      const found = await passwords.inTurn(candidates.length, ({ verify }) => look(verify));
      if (found !== null && 'until' in found) return refuse(found.until);
      if (found?.account == null) {
        logger.info({ requestId, address: origin.address }, 'sign-in refused');
        throw new DomainError('UNAUTHENTICATED', 'The e-mail address or the password is wrong.');
      }
      await forgiveFailures(db, found.key);
      await renew(found.account, password);
      const { passwordHash: _, passwordChangedAt: passwordSince, emailClaimed, ...row } = found.account;
      return { user: userRecord(row), emailClaimed, passwordSince };
    },
  };
}
