import { can, PERMISSIONS, type Permission, type RoleAssignment, type Viewer } from '@novacron/contracts';
import { DomainError } from '@novacron/core';

/** What a program may be allowed to do: no clock, no database. */

/** Who looks after accounts, sessions, second factors, tokens and settings has signed in: no token is made for it. */
const SIGNED_IN_ONLY: ReadonlySet<string> = new Set(['role', 'session', 'second_factor', 'service_account', 'api_token', 'settings']);

export function mayBeScope(permission: Permission): boolean {
  const [noun = '', verb = ''] = permission.split(':');
  return verb === 'read' || (noun !== 'user' && !SIGNED_IN_ONLY.has(noun));
}

/** Every permission that a token can be made for, sorted. */
export const SCOPES: readonly Permission[] = (Object.keys(PERMISSIONS) as Permission[]).filter(mayBeScope).toSorted(); // keys of a constant

const refuse = (message: string) => new DomainError('BAD_USER_INPUT', message, { field: 'scopes' });

/** What was asked for, each once and sorted. BAD_USER_INPUT (scopes) for what is no permission, or none for programs. */
export function parseScopes(names: readonly string[]): Permission[] {
  if (names.length === 0) throw refuse('A token without a scope could do nothing: name at least one.');
  const scopes = names.map((name) => {
    const scope = (Object.keys(PERMISSIONS) as Permission[]).find((known) => known === name); // keys of a constant
    if (scope === undefined) throw refuse(`There is no permission "${name.slice(0, 64)}".`);
    if (!mayBeScope(scope)) throw refuse(`${scope} is for people who have signed in: no token is made for it.`);
    return scope;
  });
  return [...new Set(scopes)].toSorted();
}

/** What is left of roles in one tenant: whoever administers the platform administers that tenant there, and no more. */
export function rolesWithin(roles: readonly RoleAssignment[], tenantId: RoleAssignment['tenantId'] | null): RoleAssignment[] {
  if (tenantId === null) return [...roles];
  if (roles.some(({ role }) => role === 'platform_admin')) return [{ role: 'tenant_admin', tenantId }];
  return roles.filter((held) => held.tenantId === tenantId);
}

/** Nobody gives what it does not have. FORBIDDEN (scopes). */
export function requireHolds(holder: Pick<Viewer, 'userId' | 'sessionId' | 'roles'>, scopes: readonly Permission[], whose: string): void {
  const missing = scopes.find((scope) => !can(holder, scope));
  if (missing !== undefined) throw new DomainError('FORBIDDEN', `${whose} without ${missing}: a token can be given only what its user and its maker may do.`, { field: 'scopes' });
}
