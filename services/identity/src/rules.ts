import { isPlatformAdmin, ROLES, type Role, type Viewer } from '@novacron/contracts';
import { DomainError } from '@novacron/core';
import { QUOTA_RESOURCES, type Limits, type QuotaResource } from '@novacron/operations';
import { isCommon } from './common-passwords.ts';

/** What identity accepts and refuses: no clock, no database. */

/** The least is that of NIST SP 800-63B, 5.1.1.2. */
export const PASSWORD_LENGTH = { min: 8, max: 256 } as const;
const EMAIL_MAX_LENGTH = 254; // RFC 5321, 4.5.3.1.3: a path of 256 with its angle brackets
const NAME_MAX_LENGTH = 100;

// As browsers check it: https://html.spec.whatwg.org/multipage/input.html#valid-e-mail-address
const LABEL = '[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?';
const EMAIL = new RegExp(`^[a-z0-9.!#$%&'*+/=?^_\`{|}~-]{1,64}@${LABEL}(?:\\.${LABEL})*$`, 'i');
// Without @: it is never taken for an address.
const USERNAME = /^[a-z][a-z0-9._-]{2,31}$/i;
// Letters, marks, numbers, punctuation, symbols and the plain space; no controls, no direction marks.
const PRINTABLE = /^[\p{L}\p{M}\p{N}\p{P}\p{S} ]*$/u;
const TENANT_NAME = /^[a-z0-9-]{1,63}$/;

const refuse = (field: string, message: string) => new DomainError('BAD_USER_INPUT', message, { field });

/** The address in the one form that is stored and looked up, or null where it can't be one. */
export function normalizeEmail(text: string): string | null {
  const trimmed = text.trim();
  return trimmed.length <= EMAIL_MAX_LENGTH && EMAIL.test(trimmed) ? trimmed.toLowerCase() : null;
}

export function parseEmail(text: string, field = 'email'): string {
  const email = normalizeEmail(text);
  if (email === null) throw refuse(field, 'This is no e-mail address.');
  return email;
}

/** A user name in the one form that is stored and looked up, or null where it can't be one. */
export function normalizeUsername(text: string): string | null {
  const trimmed = text.trim();
  return USERNAME.test(trimmed) ? trimmed.toLowerCase() : null;
}

export function parseUsername(text: string): string {
  const username = normalizeUsername(text);
  if (username === null) throw refuse('username', 'A user name has 3 to 32 of the characters a-z, 0-9, ., _ and -, and begins with a letter.');
  return username;
}

/** A person's name. */
export function parseName(text: string): string {
  const name = text.normalize('NFC').trim();
  const length = [...name].length;
  if (length < 1 || length > NAME_MAX_LENGTH || !PRINTABLE.test(name)) {
    throw refuse('name', `A name has 1 to ${NAME_MAX_LENGTH} printable characters.`);
  }
  return name;
}

export function parseTenantName(text: string): string {
  if (!TENANT_NAME.test(text)) throw refuse('name', "A tenant's name has 1 to 63 of the characters a-z, 0-9 and -.");
  return text;
}

/** A new password. `own`: the address and names of its account, which would be tried first; `field`: the input that holds it. */
export function parsePassword(text: string, own: readonly string[] = [], field = 'password'): string {
  if (text.length < PASSWORD_LENGTH.min || text.length > PASSWORD_LENGTH.max) {
    throw refuse(field, `A password has ${PASSWORD_LENGTH.min} to ${PASSWORD_LENGTH.max} characters.`);
  }
  if (isCommon(text, own, PASSWORD_LENGTH.min)) throw refuse(field, 'This password is one of those that are tried first: choose another one.');
  return text;
}

/** What to look for in names and addresses, or null for everything. */
export function parseSearch(text: string | null | undefined): string | null {
  const search = (text ?? '').trim();
  if ([...search].length > NAME_MAX_LENGTH || !PRINTABLE.test(search)) {
    throw refuse('filter.search', `A search has at most ${NAME_MAX_LENGTH} printable characters.`);
  }
  return search === '' ? null : search;
}

/** Role names as people write them: "Tenant-Admin", "platform admin", "admin". */
export function parseRole(text: string, field = 'role'): Role {
  const name = text.trim().toLowerCase().replaceAll(/[-\s]+/g, '_');
  const role = ROLES.find((known) => known === (name === 'admin' ? 'tenant_admin' : name));
  if (role === undefined) throw refuse(field, `There is no such role: choose one of ${ROLES.join(', ')}.`);
  return role;
}

/** Null: no limit. Memory and storage are in bytes. */
export type QuotaInput = { [Resource in QuotaResource]?: number | null | undefined };

/** The limits that an input names; null is without limit. */
export function parseQuota(input: QuotaInput | null | undefined): Partial<Limits> {
  const limits: Partial<Limits> = {};
  for (const resource of QUOTA_RESOURCES) {
    const value = input?.[resource];
    if (value === undefined) continue;
    if (value !== null && value < 0) throw refuse(`quota.${resource}`, 'A limit is not negative; null is without limit.');
    limits[resource] = value;
  }
  return limits;
}

/** Only a platform administrator makes another one. */
export function requireMayGrant(viewer: Viewer, role: Role): void {
  if (role === 'platform_admin' && !isPlatformAdmin(viewer)) {
    throw new DomainError('FORBIDDEN', 'Only a platform administrator grants platform_admin.', { field: 'role' });
  }
}

export interface RoleChange {
  /** What the user is in the tenant now; null for no member. */
  from: Role | null;
  /** Null: none any more. */
  to: Role | null;
  /** Whether somebody would still administer the platform, were this role taken away. */
  othersAdminister: boolean;
}

/** FORBIDDEN where the viewer may not change that role into this one; INVALID_STATE for the last administrator. */
export function requireMayChange(viewer: Viewer, { from, to, othersAdminister }: RoleChange): void {
  if (to !== null) requireMayGrant(viewer, to);
  if (from !== 'platform_admin' || to === 'platform_admin') return;
  if (!isPlatformAdmin(viewer)) {
    throw new DomainError('FORBIDDEN', 'Only a platform administrator takes platform_admin away.', { field: 'role' });
  }
  if (!othersAdminister) {
    throw new DomainError('INVALID_STATE', 'This is the last platform administrator: make another one first.', { field: 'role' });
  }
}
