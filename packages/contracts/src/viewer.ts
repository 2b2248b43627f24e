import { DomainError, parseId, type SessionId, type TenantId, type UserId } from '@novacron/core';

/**
 * Who may do what. A role is held in a tenant; `platform_admin` reaches every tenant and the fleet
 * itself. One table: a new permission stops compiling until every role has said yes or no.
 */
export const ROLES = ['platform_admin', 'tenant_admin', 'operator', 'auditor', 'viewer'] as const;
export type Role = (typeof ROLES)[number];

const everyone = ['platform_admin', 'tenant_admin', 'operator', 'auditor', 'viewer'] as const;
const operators = ['platform_admin', 'tenant_admin', 'operator'] as const;
const tenantAdmins = ['platform_admin', 'tenant_admin'] as const;
const auditors = ['platform_admin', 'tenant_admin', 'auditor'] as const;
const platformAdmins = ['platform_admin'] as const;

/** Permission -> the roles that grant it. The word after the colon is the verb of the mutation. */
export const PERMISSIONS = {
  'vm:read': everyone,
  'vm:create': operators,
  'vm:update': operators,
  'vm:start': operators,
  'vm:stop': operators,
  'vm:reboot': operators,
  'vm:pause': operators,
  'vm:resume': operators,
  'vm:delete': operators,
  'vm:migrate': operators,
  'migration:read': everyone,
  'migration:cancel': operators,
  'pool:create': platformAdmins,
  'volume:read': everyone,
  'volume:create': operators,
  'volume:resize': operators,
  'volume:attach': operators,
  'volume:detach': operators,
  'volume:snapshot': operators,
  'volume:delete': operators,
  'image:read': everyone,
  'image:import': operators,
  'image:delete': operators,
  'network:read': everyone,
  'network:create': operators,
  'network:delete': operators,
  'nic:attach': operators,
  'nic:detach': operators,
  'nic:update': operators,
  'security_group:read': everyone,
  'security_group:create': operators,
  'security_group:update': operators,
  'security_group:delete': operators,
  'operation:read': everyone,
  'operation:cancel': operators,
  'tenant:read': everyone,
  'tenant:create': platformAdmins,
  'tenant:update': platformAdmins,
  'user:read': auditors,
  'user:create': tenantAdmins,
  'user:invite': tenantAdmins,
  'user:update': tenantAdmins,
  'user:deactivate': tenantAdmins,
  'user:delete': platformAdmins,
  'role:assign': tenantAdmins,
  'session:revoke': tenantAdmins,
  'second_factor:require': tenantAdmins,
  'second_factor:reset': tenantAdmins,
  'service_account:create': tenantAdmins,
  'service_account:delete': tenantAdmins,
  'api_token:revoke': tenantAdmins,
  'audit:read': auditors,
  'security:read': auditors,
  'settings:read': platformAdmins,
  'settings:update': platformAdmins,
  'mail:read': platformAdmins,
  'mail:retry': platformAdmins,
  'host:read': platformAdmins,
  'host:register': platformAdmins,
  'host:maintain': platformAdmins,
} as const satisfies Record<string, readonly Role[]>;

export type Permission = keyof typeof PERMISSIONS;

export interface RoleAssignment {
  role: Role;
  tenantId: TenantId;
}

/** What somebody has to do before it may do anything else: it has no roles until then. */
export type Debt = 'second_factor' | 'new_password';

/** Who is asking, as the gateway has verified it. Carried to every subgraph, trusted from nobody else. */
export interface Viewer {
  userId: UserId;
  /** Its session; the id of the token where a program asks with one. */
  sessionId: SessionId;
  roles: readonly RoleAssignment[];
  /** What an API token was made for: of what its roles allow, nothing else. Absent for whoever has signed in. */
  scopes?: readonly Permission[];
  /** Why it has no roles. */
  owes?: Debt;
}

/** What travels with every request to a subgraph. `viewer` is null for someone not signed in. */
export interface RequestContext {
  viewer: Viewer | null;
  requestId: string;
  /** The client's address, as the gateway saw it. */
  address: string | null;
  /** The client's User-Agent header. */
  userAgent: string | null;
}

const grants = (role: Role, permission: Permission): boolean =>
  (PERMISSIONS[permission] as readonly Role[]).includes(role);

const isInScope = ({ scopes }: Viewer, permission: Permission): boolean => scopes === undefined || scopes.includes(permission);

/** True for who administers the platform: every tenant, every host. */
export const isPlatformAdmin = (viewer: Viewer | null): boolean =>
  viewer?.roles.some((held) => held.role === 'platform_admin') ?? false;

/** May the viewer do this in that tenant? Without a tenant: anywhere at all. */
export function can(viewer: Viewer | null, permission: Permission, tenantId?: string): boolean {
  if (viewer === null || !isInScope(viewer, permission)) return false;
  return viewer.roles.some(
    (held) =>
      grants(held.role, permission) &&
      (held.role === 'platform_admin' || tenantId === undefined || held.tenantId === tenantId),
  );
}

/** Every permission that the viewer holds in that tenant, or, without one, in some tenant; sorted. */
export const permissionsOf = (viewer: Viewer, tenantId?: TenantId): Permission[] =>
  (Object.keys(PERMISSIONS) as Permission[]).filter((permission) => can(viewer, permission, tenantId)).toSorted();

/** The tenants in which the viewer holds the permission; 'all' for a platform administrator. */
export function tenantsWith(viewer: Viewer | null, permission: Permission): TenantId[] | 'all' {
  if (viewer === null || !isInScope(viewer, permission)) return [];
  if (isPlatformAdmin(viewer)) return 'all';
  return [...new Set(viewer.roles.filter((held) => grants(held.role, permission)).map((held) => held.tenantId))];
}

/** What whoever owes something is told to do first. */
export const OWED: Readonly<Record<Debt, string>> = {
  second_factor: 'Set up a second factor first (beginTotp, confirmTotp): your role demands one.',
  new_password: 'Choose a new password first (changePassword).',
};

/** The signed-in viewer, or UNAUTHENTICATED. */
export function requireViewer(viewer: Viewer | null): Viewer {
  if (viewer === null) throw new DomainError('UNAUTHENTICATED', 'Sign in first: this field needs an access token.');
  return viewer;
}

/** Whoever has signed in itself: no API token looks after accounts, sessions, second factors or tokens. UNAUTHENTICATED, FORBIDDEN. */
export function requireSignedIn(viewer: Viewer | null): Viewer {
  const known = requireViewer(viewer);
  if (known.scopes !== undefined) throw new DomainError('FORBIDDEN', 'This needs somebody who has signed in: an API token may not do it.');
  return known;
}

/** Whoever has signed in and owes nothing: what somebody changes of its own account. UNAUTHENTICATED, FORBIDDEN. */
export function requireSettled(viewer: Viewer | null): Viewer {
  const known = requireSignedIn(viewer);
  if (known.owes !== undefined) throw new DomainError('FORBIDDEN', OWED[known.owes]);
  return known;
}

/** One of these is needed by a token that asks for what every signed-in user sees: hosts and storage pools. */
export const FLEET_SCOPES = ['host:read', 'vm:read', 'volume:read', 'image:read', 'network:read', 'migration:read'] as const satisfies readonly Permission[];

/** FORBIDDEN for an API token that was made for none of these; whoever has signed in needs no scope, and roles are not looked at. */
export function requireScope(viewer: Viewer | null, anyOf: readonly Permission[]): void {
  if (viewer === null || anyOf.some((permission) => isInScope(viewer, permission))) return;
  throw new DomainError('FORBIDDEN', `This API token was not made for this: it needs the scope ${anyOf.join(' or ')}.`);
}

/** The viewer, if it holds the permission (in that tenant); else UNAUTHENTICATED or FORBIDDEN. */
export function requirePermission(viewer: Viewer | null, permission: Permission, tenantId?: string): Viewer {
  const known = requireViewer(viewer);
  if (can(known, permission, tenantId)) return known;
  throw new DomainError('FORBIDDEN', known.owes === undefined ? `You need the permission ${permission} for this.` : OWED[known.owes]);
}

/** A viewer without any role in a tenant does not learn that the tenant's objects exist. */
export const seesTenant = (viewer: Viewer | null, tenantId: string): boolean =>
  viewer !== null && (isPlatformAdmin(viewer) || viewer.roles.some((held) => held.tenantId === tenantId));

/**
 * For an object of a tenant: NOT_FOUND (as if it did not exist) to whom the tenant is foreign, FORBIDDEN
 * to a member without the permission. `field`: of the input, where an id that names nothing is refused with it, too.
 */
export function requireInTenant(viewer: Viewer | null, permission: Permission, tenantId: string, what: string, field?: string): Viewer {
  const known = requireViewer(viewer);
  if (!seesTenant(known, tenantId)) throw new DomainError('NOT_FOUND', `There is no ${what} with this id.`, field === undefined ? {} : { field });
  return requirePermission(known, permission, tenantId);
}

/** The tenant that something new is for: the one named, else the viewer's only one. NOT_FOUND, FORBIDDEN, BAD_USER_INPUT (tenantId). */
export function tenantFor(viewer: Viewer, tenantId: string | null | undefined, what: string): TenantId {
  const field = 'tenantId';
  if (tenantId != null) {
    const id = parseId<TenantId>(tenantId, 'tenant', field);
    if (!seesTenant(viewer, id)) throw new DomainError('NOT_FOUND', 'There is no tenant with this id.', { field });
    return id;
  }
  const [only, ...others] = new Set(viewer.roles.map((held) => held.tenantId));
  if (only === undefined) throw new DomainError('FORBIDDEN', 'You are in no tenant.');
  if (others.length > 0) throw new DomainError('BAD_USER_INPUT', `You are in several tenants: say which one the ${what} is for.`, { field });
  return only;
}
