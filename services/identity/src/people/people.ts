import { requireInTenant, requireSignedIn } from '@novacron/contracts';
import { DomainError, parseId, type TenantId, type UserId } from '@novacron/core';
import type { Logger } from 'pino';
import type { Asker } from '../accounts.ts';
import type { Mailbox } from '../mail/mailbox.ts';
import { parseEmail, parseName, parseUsername } from '../rules.ts';
import { endOwnersMailTokens, issueMailToken } from '../store/mail-tokens.ts';
import { changeUser, editUser, forgetUser, hasItsAddress, requireDispensable, type Edit } from '../store/people.ts';
import { removeRole } from '../store/roles.ts';
import type { Database } from '../store/database.ts';
import type { UserRecord } from '../visibility.ts';

export interface UserChanges {
  id: string;
  name?: string | null | undefined;
  /** Null takes it away. */
  username?: string | null | undefined;
  email?: string | null | undefined;
}

/**
 * What administrators do to accounts that are there: see rules.ts for who may do what. NOT_FOUND, FORBIDDEN, INVALID_STATE, each of
 * them; one log line for what was changed.
 */
export interface People {
  /** A new address is vouched for by who sets it; the old one is told. BAD_USER_INPUT, ALREADY_EXISTS, INVALID_STATE for who has none yet. */
  update(asker: Asker, changes: UserChanges, address: string | null): Promise<UserRecord>;
  /** It can't sign in any more, its sessions and API tokens are refused. INVALID_STATE for the last administrator of the platform. */
  deactivate(asker: Asker, id: string): Promise<UserRecord>;
  reactivate(asker: Asker, id: string): Promise<UserRecord>;
  /**
   * Ends its sessions, and mails it a link: its old password is good for nothing. Where mails are not sent, or the address is not known to be its own, it
   * still signs in with that one, and can do nothing but choose another.
   */
  forcePasswordReset(asker: Asker, id: string): Promise<UserRecord>;
  endSessions(asker: Asker, id: string): Promise<UserRecord>;
  /** Leaves nothing of the person but the id, which others' rows name. INVALID_STATE for the last administrator of the platform. */
  delete(asker: Asker, id: string): Promise<UserRecord>;
  /** Takes the role in a tenant away; who was invited there and nowhere else is gone. NOT_FOUND for who is no member. */
  removeRole(asker: Asker, input: { userId: string; tenantId: string }): Promise<void>;
}

interface PeopleOptions {
  db: Database;
  mailbox: Mailbox;
  /** Is there a mail server? */
  sendsMail: boolean;
  now: () => Date;
  logger: Logger;
}

const HOUR_MS = 3_600_000;
/** Longer than for a reset that somebody waits for: nobody has asked for this one. */
const FORCED_RESET_LIFETIME_MS = 24 * HOUR_MS;

export function createPeople({ db, mailbox, sendsMail, now, logger }: PeopleOptions): People {
  const userIn = (id: string): UserId => parseId<UserId>(id, 'user');
  const log = ({ viewer, requestId }: Asker, userId: UserId, what: string, more: object = {}) => logger.info({ requestId, by: viewer?.userId, userId, ...more }, what);

  return {
    async update(asker, changes, address) {
      const [userId, edit, at] = [userIn(changes.id), editOf(changes), now()];
      const user = await changeUser(db, { verb: 'update', userId, viewer: asker.viewer, address: edit.email }, at, async (tx, before) => {
        const { email, ...rest } = edit;
        if (email === undefined || email === before.email) return editUser(tx, userId, rest);
        requireHasAddress(before);
        const isTold = await hasItsAddress(tx, userId);
        await editUser(tx, userId, edit);
        if (isTold) await mailbox.post(tx, { kind: 'email_changed', recipient: before.email, userId, content: { name: before.name, email, address, at } }, at);
      });
      log(asker, userId, 'user updated', { fields: Object.keys(edit) });
      return user;
    },

    async deactivate(asker, id) {
      const [userId, at] = [userIn(id), now()];
      const user = await changeUser(db, { verb: 'deactivate', userId, viewer: asker.viewer }, at, async (tx, before) => {
        await requireDispensable(tx, before);
        await tx.user.update({ where: { id: userId }, data: { deactivatedAt: at } });
        return { endsSessions: true, changesAccess: true };
      });
      log(asker, userId, 'user deactivated');
      return user;
    },

    async reactivate(asker, id) {
      const userId = userIn(id);
      const user = await changeUser(db, { verb: 'reactivate', userId, viewer: asker.viewer }, now(), async (tx) => {
        await tx.user.update({ where: { id: userId }, data: { deactivatedAt: null } });
        return { changesAccess: true };
      });
      log(asker, userId, 'user reactivated');
      return user;
    },

    async forcePasswordReset(asker, id) {
      const [userId, at] = [userIn(id), now()];
      const user = await changeUser(db, { verb: 'forcePasswordReset', userId, viewer: asker.viewer }, at, async (tx, { email, name }) => {
        await tx.user.update({ where: { id: userId }, data: { mustChangePassword: true } });
        await endOwnersMailTokens(tx, userId, at);
        const consequences = { endsSessions: true, changesAccess: true }; // its API tokens may do nothing until then, either
        if (!(await hasItsAddress(tx, userId))) return consequences;
        if (sendsMail) await tx.user.update({ where: { id: userId }, data: { passwordHash: null, passwordChangedAt: at } });
        const token = await issueMailToken(tx, { userId, email, purpose: 'reset_password', lifetimeMs: FORCED_RESET_LIFETIME_MS }, at);
        await mailbox.post(tx, { kind: 'reset_password', recipient: email, userId, content: { name, token } }, at);
        return consequences;
      });
      log(asker, userId, 'new password demanded');
      return user;
    },

    async endSessions(asker, id) {
      const userId = userIn(id);
      const user = await changeUser(db, { verb: 'endSessions', userId, viewer: asker.viewer }, now(), async () => ({ endsSessions: true }));
      log(asker, userId, 'sessions ended');
      return user;
    },

    async delete(asker, id) {
      const [{ userId: by }, userId, at] = [requireSignedIn(asker.viewer), userIn(id), now()];
      const user = await changeUser(db, { verb: 'delete', userId, viewer: asker.viewer }, at, async (tx, before) => {
        await requireDispensable(tx, before);
        return forgetUser(tx, before, { by, at });
      });
      log(asker, userId, 'user deleted');
      return user;
    },

    async removeRole(asker, input) {
      const tenantId = parseId<TenantId>(input.tenantId, 'tenant');
      const viewer = requireInTenant(requireSignedIn(asker.viewer), 'role:assign', tenantId, 'tenant');
      const userId = parseId<UserId>(input.userId, 'user', 'userId');
      const role = await removeRole(db, { userId, tenantId, viewer, at: now() });
      log(asker, userId, 'role removed', { tenantId, role });
    },
  };
}

/** Whoever was invited shows by the mail to its address that it is there; nobody writes to a service account. */
function requireHasAddress({ invitedAt, kind }: UserRecord): void {
  if (kind === 'service') throw new DomainError('INVALID_STATE', 'This is a service account: it has no address.', { field: 'email' });
  if (invitedAt !== null) throw new DomainError('INVALID_STATE', 'This user has not accepted its invitation: take it back, and invite the other address.', { field: 'email' });
}

function editOf({ name, username, email }: UserChanges): Edit {
  return {
    ...(name == null ? {} : { name: parseName(name) }),
    ...(username === undefined ? {} : { username: username === null ? null : parseUsername(username) }),
    ...(email == null ? {} : { email: parseEmail(email) }),
  };
}
