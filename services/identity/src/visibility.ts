import { can, isPlatformAdmin, permissionsOf, seesTenant, tenantsWith, type Permission, type RoleAssignment, type Viewer } from '@novacron/contracts';
import { DomainError, type TenantId, type UserId } from '@novacron/core';

/** Who sees what of whom: no clock, no database. */

export interface UserRecord {
  id: UserId;
  email: string;
  name: string;
  emailVerified: boolean;
  username: string | null;
  /** A service account is for programs: it has no password. */
  kind: 'person' | 'service';
  createdAt: Date;
  invitedAt: Date | null;
  deactivatedAt: Date | null;
  deletedAt: Date | null;
  roles: RoleAssignment[];
}

export interface TenantRecord {
  id: TenantId;
  name: string;
  createdAt: Date;
}

/** A user as somebody sees it. The one who signs in sees itself before the request has a viewer. */
export interface UserView {
  user: UserRecord;
  viewer: Viewer;
}

/** Members of a tenant see one another; whom the viewer may not see is not there. Of whom is deleted, nothing is left to hide. */
export function viewUser(user: UserRecord | null, viewer: Viewer | null): UserView | null {
  if (user === null || viewer === null) return null;
  const visible =
    user.deletedAt !== null || user.id === viewer.userId || isPlatformAdmin(viewer) || user.roles.some((held) => seesTenant(viewer, held.tenantId));
  // what members see of one another is no token's that was made for something else
  const inScope = viewer.scopes === undefined || user.id === viewer.userId || can(viewer, 'user:read');
  return visible && inScope ? { user, viewer } : null;
}

export const viewTenant = (tenant: TenantRecord | null, viewer: Viewer | null): TenantRecord | null =>
  tenant !== null && can(viewer, 'tenant:read', tenant.id) ? tenant : null;

const isSelf = ({ user, viewer }: UserView): boolean => user.id === viewer.userId;

/** It has signed in itself: more than a token that stands for it. */
export const isSignedInSelf = (view: UserView): boolean => isSelf(view) && view.viewer.scopes === undefined;

/**
 * The roles of a user: all of them to itself (those that its token has to a token), to others those of the tenants where they hold user:read.
 * FORBIDDEN without such a tenant.
 */
export function rolesOf(view: UserView): RoleAssignment[] {
  const { user, viewer } = view;
  if (isSelf(view)) return viewer.scopes === undefined ? user.roles : [...viewer.roles];
  if (tenantsWith(viewer, 'user:read') === 'all' || user.deletedAt !== null) return user.roles;
  const roles = user.roles.filter((held) => can(viewer, 'user:read', held.tenantId));
  if (roles.length === 0) throw new DomainError('FORBIDDEN', 'You need the permission user:read for this.');
  return roles;
}

/** What those roles allow now: of them what its token was made for, to a token, and nothing to who owes something first. FORBIDDEN as for the roles. */
export function permissionsIn(view: UserView): Permission[] {
  const { scopes, ...viewer } = view.viewer;
  if (isSelf(view) && viewer.owes !== undefined) return [];
  return permissionsOf({ ...viewer, ...(isSelf(view) && scopes !== undefined ? { scopes } : {}), roles: rolesOf(view) });
}

/**
 * What is done to an account reaches all its tenants: the viewer needs the permission in each of them, and a platform
 * administrator is left to its like. FORBIDDEN.
 */
export function requireAdministers({ user, viewer }: UserView, permission: Permission): void {
  const administers =
    isPlatformAdmin(viewer) || (user.roles.length > 0 && user.roles.every((held) => held.role !== 'platform_admin' && can(viewer, permission, held.tenantId)));
  if (!administers || !can(viewer, permission)) throw new DomainError('FORBIDDEN', `You need the permission ${permission} in every tenant of this user for this.`);
}

/** Sessions belong to the account, not to one of its tenants: shown to itself and to whom administers every tenant that the account is in. */
export function seesSessions(view: UserView): boolean {
  const { user, viewer } = view;
  const administers =
    tenantsWith(viewer, 'user:read') === 'all' ||
    (user.roles.length > 0 &&
      user.roles.every((held) => held.role !== 'platform_admin' && can(viewer, 'user:read', held.tenantId)));
  return isSignedInSelf(view) || administers;
}

/** FORBIDDEN to whom they are not shown. */
export function requireSeesSessions(view: UserView): void {
  if (!seesSessions(view)) throw new DomainError('FORBIDDEN', 'You need the permission user:read in every tenant of this user for this.');
}
