import { requireInTenant, requireSettled, requireSignedIn } from '@novacron/contracts';
import { DomainError, parseId, type TenantId } from '@novacron/core';
import type { Logger } from 'pino';
import type { Asker } from '../accounts.ts';
import { requireFewMails } from '../accounts/verification.ts';
import type { Admission, Owed, SignedIn } from '../admission.ts';
import type { Mailbox } from '../mail/mailbox.ts';
import type { Passwords } from '../passwords.ts';
import { parseEmail, parseName, parsePassword, parseRole, requireMayGrant } from '../rules.ts';
import { claimAddress } from '../store/claims.ts';
import { acceptInvitation, invite, isClaimed, moveRoles } from '../store/invitations.ts';
import { issueMailToken, readMailToken } from '../store/mail-tokens.ts';
import { mayMail } from '../store/mails.ts';
import { changeOwn } from '../store/people.ts';
import type { Database } from '../store/database.ts';
import type { Origin } from '../store/sessions.ts';
import type { UserRecord } from '../visibility.ts';

export interface NewInvitation {
  email: string;
  name?: string | null | undefined;
  role: string;
  tenantId: string;
}

export interface Acceptance {
  token: string;
  password: string;
  name?: string | null | undefined;
}

/** How people come into tenants by a mail. A token that is no good is BAD_USER_INPUT (token). */
export interface Invitations {
  /**
   * The same answer whether or not somebody has an account with the address. Asked again it sends another mail, and the one before is
   * good for nothing. Errors: NOT_FOUND (the tenant), FORBIDDEN, BAD_USER_INPUT, ALREADY_EXISTS (a member), INVALID_STATE,
   * RATE_LIMITED after five within a quarter of an hour. Whoever asks, nobody is mailed more than five within an hour.
   */
  invite(asker: Asker, input: NewInvitation): Promise<UserRecord>;
  /** For who has no account yet: with a password it has one, and has signed in. BAD_USER_INPUT; INVALID_STATE where there is an account. */
  accept(acceptance: Acceptance, origin: Origin, requestId: string): Promise<SignedIn | Owed>;
  /** For who has an account with the address. FORBIDDEN for the account of another one. */
  join(asker: Asker, token: string): Promise<UserRecord>;
}

interface InvitationsOptions {
  db: Database;
  passwords: Passwords;
  admission: Admission;
  mailbox: Mailbox;
  now: () => Date;
  logger: Logger;
}

const DAY_MS = 86_400_000;
export const INVITATION_LIFETIME_MS = 7 * DAY_MS;

export function createInvitations({ db, passwords, admission, mailbox, now, logger }: InvitationsOptions): Invitations {
  return {
    async invite({ viewer: someone, requestId }, input) {
      const tenantId = parseId<TenantId>(input.tenantId, 'tenant');
      const viewer = requireInTenant(requireSignedIn(someone), 'user:invite', tenantId, 'tenant');
      const role = parseRole(input.role);
      requireMayGrant(viewer, role);
      const [email, name, at] = [parseEmail(input.email), input.name == null ? null : parseName(input.name), now()];
      const user = await invite(db, { email, name, tenantId, role }, viewer, at, async (tx, invited, tenant) => {
        await requireFewMails(tx, { userId: invited.id, purpose: 'invitation' }, at);
        if (!(await mayMail(tx, { recipient: email, kind: 'invitation' }, at))) return; // and the one before stays good
        const token = await issueMailToken(tx, { userId: invited.id, email, purpose: 'invitation', lifetimeMs: INVITATION_LIFETIME_MS }, at);
        const host = await tx.user.findUniqueOrThrow({ where: { id: viewer.userId }, select: { name: true } });
        await mailbox.post(tx, { kind: 'invitation', recipient: email, userId: invited.id, tenantId, content: { name: invited.name, token, tenant, invitedBy: host.name } }, at);
      });
      logger.info({ requestId, by: viewer.userId, userId: user.id, tenantId, role }, 'user invited');
      return user;
    },

    async accept({ token, password, name }, origin, requestId) {
      const at = now();
      const { email } = await readMailToken(db, 'invitation', token, at);
      if (await isClaimed(db, email)) throw new DomainError('INVALID_STATE', 'There is an account with this address: sign in with it, and call joinTenant.', { field: 'token' });
      const called = name == null ? null : parseName(name);
      const passwordHash = await passwords.hash(parsePassword(password, [email, called ?? '']));
      const user = await acceptInvitation(db, { token, name: called, passwordHash }, at);
      logger.info({ requestId, userId: user.id }, 'invitation accepted');
      return admission.admit({ user, emailClaimed: true, code: null }, origin, requestId);
    },

    async join({ viewer, requestId }, token) {
      const [{ userId }, at] = [requireSettled(viewer), now()];
      const { email: address } = await readMailToken(db, 'invitation', token, at);
      const user = await changeOwn(db, { userId, address }, at, async (tx, own) => {
        await moveRoles(tx, own, token, at);
        await claimAddress(tx, { userId, email: own.email }); // its mail was read just now
        return { changesAccess: true };
      });
      logger.info({ requestId, userId }, 'invitation accepted');
      return user;
    },
  };
}
