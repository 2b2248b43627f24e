import { OWED, requireInTenant, requirePermission, requireSignedIn, type RequestContext, type Viewer } from '@novacron/contracts';
import { DomainError, parseId, type TenantId, type UserId } from '@novacron/core';
import type { Secrets } from '@novacron/secrets';
import type { Logger } from 'pino';
import type { OwnPassword } from '../accounts/own-password.ts';
import type { Mailbox } from '../mail/mailbox.ts';
import type { Mails } from '../mail/mails.ts';
import { parseRole } from '../rules.ts';
import type { Database, Transaction } from '../store/database.ts';
import { userRecord, USER_COLUMNS } from '../store/records.ts';
import {
  confirmEnrollment,
  demandInTenant,
  isDemandedOf,
  locked,
  putBackupCodes,
  putEnrollment,
  recordFailure,
  recordStep,
  removeSecondFactor,
  spendBackupCode,
  type Owner,
  type TotpRow,
} from '../store/second-factors.ts';
import { endSessions, requireOpen, type Origin } from '../store/sessions.ts';
import { requireAdministers, viewUser, type TenantRecord, type UserView } from '../visibility.ts';
import { backupCodeHash, newBackupCodes } from './backup-codes.ts';
import { waitMsAfter } from './patience.ts';
import { enrollmentOf, isTotpCode, newSecret, stepOf, type Enrollment } from './totp.ts';

/** What a sign-in with the right password still lacks. `right`: the code was good, and is spent. */
export type SecondFactorCheck = 'none' | 'owed' | 'right' | 'wrong';

/** What proves that it is really you, besides the password: an authenticator's codes, and backup codes for who has lost it. FORBIDDEN to who owes a new password. */
export interface SecondFactors {
  /** For who has shown the right password. RATE_LIMITED after too many wrong codes; a backup code is good all the same. */
  check(userId: UserId, code: string | null, origin: Origin): Promise<SecondFactorCheck>;
  /** An authenticator to confirm, in place of one that was never confirmed. INVALID_STATE while there is one in use, BAD_USER_INPUT (password) as OwnPassword. */
  begin(asker: RequestContext, password: string | null | undefined): Promise<Enrollment>;
  /** Takes it into use, and ends the other sessions. Errors: BAD_USER_INPUT (the code), INVALID_STATE (none was begun, or too long ago). */
  confirm(asker: RequestContext, code: string): Promise<string[]>;
  /** Errors: BAD_USER_INPUT, RATE_LIMITED (the code), INVALID_STATE (there is none, or a role demands it). */
  disable(asker: RequestContext, code: string): Promise<void>;
  /** New codes in place of all others. Errors: BAD_USER_INPUT, RATE_LIMITED (the code), INVALID_STATE (there is none). */
  renewBackupCodes(asker: RequestContext, code: string): Promise<string[]>;
  /** An administrator's help for who has lost everything; ends its sessions. Idempotent. Errors: FORBIDDEN, NOT_FOUND. */
  reset(asker: RequestContext, userId: string): Promise<UserView>;
  /** Who needs a second factor in a tenant. Idempotent. Errors: FORBIDDEN, NOT_FOUND, BAD_USER_INPUT. */
  demand(asker: RequestContext, demand: { tenantId: string; roles: readonly string[] }): Promise<TenantRecord>;
}

interface SecondFactorsOptions {
  db: Database;
  secrets: Secrets;
  ownPassword: OwnPassword;
  mailbox: Mailbox;
  now: () => Date;
  logger: Logger;
}

/** Whoever finds a browser at this page later finds no authenticator to be confirmed. */
const ENROLLMENT_MS = 15 * 60_000;

const sealedFor = (userId: UserId): string => `totp:${userId}`;

/** What became of a code; a wrong one is counted, and that must be committed before anybody hears of it. */
type Spent = 'right' | 'wrong' | { refusedUntil: Date };

export function createSecondFactors({ db, secrets, ownPassword, mailbox, now, logger }: SecondFactorsOptions): SecondFactors {
  const secretOf = ({ userId, secret, keyId }: TotpRow) => secrets.open({ sealed: secret, keyId }, sealedFor(userId));

  async function notify(tx: Transaction, { id, name, email, emailClaimed }: Owner, change: Mails['second_factor_changed']['change'], address: string | null, at: Date) {
    if (!emailClaimed) return;
    await mailbox.post(tx, { kind: 'second_factor_changed', recipient: email, userId: id, content: { name, change, address, at } }, at);
  }

  async function spend(tx: Transaction, owner: Owner, totp: TotpRow, code: string, { address, device }: Origin, at: Date): Promise<Spent> {
    if (!isTotpCode(code)) {
      const codeHash = backupCodeHash(owner.id, code);
      const left = codeHash && (await spendBackupCode(tx, owner.id, codeHash, at));
      if (left === null) return 'wrong';
      const content = { name: owner.name, left, address, device, at };
      if (owner.emailClaimed) await mailbox.post(tx, { kind: 'backup_code_used', recipient: owner.email, userId: owner.id, content }, at);
      return 'right';
    }
    if (totp.refusedUntil !== null && totp.refusedUntil > at) return { refusedUntil: totp.refusedUntil };
    const step = stepOf(secretOf(totp), code, at);
    if (step === null || (totp.lastStep !== null && step <= totp.lastStep)) {
      const failures = totp.failures + 1;
      const waitMs = waitMsAfter(failures);
      await recordFailure(tx, owner.id, failures, waitMs === 0 ? null : new Date(at.getTime() + waitMs));
      return 'wrong';
    }
    await recordStep(tx, owner.id, step);
    return 'right';
  }

  /** Runs `work` for who shows a code of the second factor that it has. */
  async function withCode<Result>(asker: RequestContext, code: string, work: (tx: Transaction, owner: Owner, viewer: Viewer, at: Date) => Promise<Result>): Promise<Result> {
    const viewer = requireOwnPassword(asker.viewer);
    const at = now();
    const done = await locked(db, viewer.userId, async (tx, owner) => {
      if (owner.totp?.confirmedAt == null) throw new DomainError('INVALID_STATE', 'You have no second factor: beginTotp sets one up.');
      const spent = await spend(tx, owner, owner.totp, code, { address: asker.address, device: asker.userAgent }, at);
      return spent === 'right' ? { result: await work(tx, owner, viewer, at) } : { spent };
    });
    if ('result' in done) return done.result;
    throw done.spent === 'wrong' ? wrongCode() : tooMany(done.spent.refusedUntil, at);
  }

  async function renew(tx: Transaction, userId: UserId, at: Date): Promise<string[]> {
    const codes = newBackupCodes();
    await putBackupCodes(tx, userId, codes.flatMap((code) => backupCodeHash(userId, code) ?? []), at);
    return codes;
  }

  return {
    async check(userId, code, origin) {
      const at = now();
      if (code === null) {
        const totp = await db.totp.findFirst({ where: { userId, confirmedAt: { not: null } }, select: { userId: true } });
        return totp === null ? 'none' : 'owed';
      }
      const spent = await locked(db, userId, async (tx, owner) =>
        owner.totp?.confirmedAt == null ? ('none' as const) : spend(tx, owner, owner.totp, code, origin, at),
      );
      if (typeof spent === 'object') throw tooMany(spent.refusedUntil, at);
      return spent;
    },

    async begin({ viewer: someone, requestId }, password) {
      const viewer = requireOwnPassword(someone);
      const { userId } = viewer;
      await ownPassword.requireRecent(viewer, password);
      const at = now();
      const secret = newSecret();
      const { sealed, keyId } = secrets.seal(secret, sealedFor(userId));
      return locked(db, userId, async (tx, { email, totp }) => {
        await requireOpen(tx, viewer);
        if (totp?.confirmedAt != null) throw new DomainError('INVALID_STATE', 'You have a second factor already: disableTotp makes room for another one.');
        await putEnrollment(tx, userId, { secret: sealed, keyId }, at);
        logger.info({ requestId, userId }, 'second factor begun');
        return enrollmentOf(secret, email);
      });
    },

    async confirm({ viewer: someone, requestId, address }, code) {
      const viewer = requireOwnPassword(someone);
      const { userId, sessionId } = viewer;
      const at = now();
      return locked(db, userId, async (tx, owner) => {
        await requireOpen(tx, viewer);
        const { totp } = owner;
        if (totp === null || totp.confirmedAt !== null || at.getTime() - totp.createdAt.getTime() >= ENROLLMENT_MS) {
          throw new DomainError('INVALID_STATE', 'There is nothing to confirm (any more): begin with beginTotp.');
        }
        const step = stepOf(secretOf(totp), code, at);
        if (step === null) throw wrongCode();
        const codes = await renew(tx, userId, at);
        await notify(tx, owner, 'enabled', address, at);
        await confirmEnrollment(tx, { userId, sessionId, step }, at);
        logger.info({ requestId, userId, sessionId }, 'second factor enabled');
        return codes;
      });
    },

    disable: (asker, code) =>
      withCode(asker, code, async (tx, owner, { userId, sessionId }, at) => {
        if (await isDemandedOf(tx, userId)) throw new DomainError('INVALID_STATE', 'A role of yours demands a second factor.');
        await notify(tx, owner, 'disabled', asker.address, at);
        await removeSecondFactor(tx, userId);
        logger.info({ requestId: asker.requestId, userId, sessionId }, 'second factor disabled');
      }),

    renewBackupCodes: (asker, code) =>
      withCode(asker, code, async (tx, owner, { userId, sessionId }, at) => {
        const codes = await renew(tx, userId, at);
        await notify(tx, owner, 'codes_renewed', asker.address, at);
        logger.info({ requestId: asker.requestId, userId, sessionId }, 'backup codes renewed');
        return codes;
      }),

    async reset({ viewer: someone, requestId, address }, id) {
      requireSignedIn(someone);
      const viewer = requirePermission(someone, 'second_factor:reset');
      const userId = parseId<UserId>(id, 'user', 'userId');
      const at = now();
      return locked(db, userId, async (tx, owner) => {
        const user = userRecord(await tx.user.findUniqueOrThrow({ where: { id: userId }, select: USER_COLUMNS }));
        const view = viewUser(user, viewer);
        if (view === null) throw new DomainError('NOT_FOUND', 'There is no user with this id.', { field: 'userId' });
        requireAdministers(view, 'second_factor:reset');
        if (userId === viewer.userId) throw new DomainError('FORBIDDEN', 'Of your own second factor you need a code: see disableTotp.');
        if (owner.totp?.confirmedAt == null) return view;
        await notify(tx, owner, 'reset_by_administrator', address, at);
        await endSessions(tx, { userId }, at);
        await removeSecondFactor(tx, userId);
        logger.info({ requestId, by: viewer.userId, userId }, 'second factor reset');
        return view;
      });
    },

    async demand({ viewer, requestId }, demand) {
      requireSignedIn(viewer);
      const tenantId = parseId<TenantId>(demand.tenantId, 'tenant', 'tenantId');
      const asker = requireInTenant(viewer, 'second_factor:require', tenantId, 'tenant', 'tenantId');
      const roles = [...new Set(demand.roles.map((role) => parseRole(role, 'roles')))];
      const tenant = await demandInTenant(db, { tenantId, roles, viewer: asker });
      logger.info({ requestId, by: asker.userId, tenantId, roles }, 'second factor demanded');
      return tenant;
    },
  };
}

/** Whoever only owes a second factor sets one up; who knows a password that is not to be used any more changes nothing. UNAUTHENTICATED, FORBIDDEN. */
function requireOwnPassword(someone: Viewer | null): Viewer {
  const viewer = requireSignedIn(someone);
  if (viewer.owes === 'new_password') throw new DomainError('FORBIDDEN', OWED.new_password);
  return viewer;
}

const wrongCode = () => new DomainError('BAD_USER_INPUT', 'The code is wrong, or was used before.', { field: 'code' });

function tooMany(until: Date, at: Date): DomainError {
  const seconds = Math.ceil((until.getTime() - at.getTime()) / 1000);
  return new DomainError('RATE_LIMITED', `Too many wrong codes: try again in ${seconds} s, or with a backup code.`, { field: 'code' });
}
