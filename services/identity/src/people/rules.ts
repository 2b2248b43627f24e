import { requireSignedIn, type Permission, type Viewer } from '@novacron/contracts';
import { DomainError } from '@novacron/core';
import { requireAdministers, viewUser, type UserRecord } from '../visibility.ts';

/** Who may do what to whose account, and in which state it must be: no clock, no database. */

export const USER_STATES = ['ACTIVE', 'INVITED', 'DEACTIVATED', 'DELETED'] as const;
export type UserState = (typeof USER_STATES)[number];

export function stateOf({ invitedAt, deactivatedAt, deletedAt }: Pick<UserRecord, 'invitedAt' | 'deactivatedAt' | 'deletedAt'>): UserState {
  if (deletedAt !== null) return 'DELETED';
  if (deactivatedAt !== null) return 'DEACTIVATED';
  return invitedAt === null ? 'ACTIVE' : 'INVITED';
}

interface Rule {
  permission: Permission;
  from: readonly UserState[];
  /** Why nobody does it to its own account this way; null: everybody may. */
  ownAccount: string | null;
  /** Does it make sense for an account that no person signs in to? */
  ofService: boolean;
}

/** What administrators do to an account. One who is deleted is not there any more. */
export const RULES = {
  update: { permission: 'user:update', from: ['ACTIVE', 'INVITED', 'DEACTIVATED'], ownAccount: null, ofService: true },
  deactivate: { permission: 'user:deactivate', from: ['ACTIVE', 'INVITED'], ownAccount: 'Nobody deactivates its own account: let another administrator do it.', ofService: true },
  reactivate: { permission: 'user:deactivate', from: ['DEACTIVATED'], ownAccount: null, ofService: true },
  forcePasswordReset: { permission: 'user:update', from: ['ACTIVE'], ownAccount: 'This is your own account: use changePassword.', ofService: false },
  endSessions: { permission: 'session:revoke', from: ['ACTIVE', 'INVITED', 'DEACTIVATED'], ownAccount: null, ofService: true },
  deleteServiceAccount: { permission: 'service_account:delete', from: ['ACTIVE', 'DEACTIVATED'], ownAccount: null, ofService: true },
  delete: { permission: 'user:delete', from: ['ACTIVE', 'INVITED', 'DEACTIVATED'], ownAccount: 'This is your own account: use deleteAccount.', ofService: true },
} as const satisfies Record<string, Rule>;

export type Verb = keyof typeof RULES;

/**
 * The user, if the viewer may do that to it now. NOT_FOUND where it is not there for the viewer, FORBIDDEN for programs and for
 * whoever does not administer all of its tenants (or a platform administrator), INVALID_STATE where it does not start from here.
 */
export function requireMay(verb: Verb, user: UserRecord | null, someone: Viewer | null): UserRecord {
  const viewer = requireSignedIn(someone);
  const view = viewUser(user, viewer);
  if (view === null || view.user.deletedAt !== null) throw unknownUser();
  const { permission, from, ownAccount, ofService }: Rule = RULES[verb];
  requireAdministers(view, permission);
  if (view.user.id === viewer.userId && ownAccount !== null) throw new DomainError('INVALID_STATE', ownAccount);
  if (view.user.kind === 'service' && !ofService) throw new DomainError('INVALID_STATE', 'This is a service account: no person signs in to it.');
  const state = stateOf(view.user);
  if (!from.includes(state)) throw new DomainError('INVALID_STATE', `This account is ${state}: ${verb} starts from ${from.join(', ')}.`);
  return view.user;
}

export const unknownUser = (): DomainError => new DomainError('NOT_FOUND', 'There is no user with this id.');
