import { OWED, permissionsOf, type RequestContext, type Role, type Viewer } from '@novacron/contracts';
import { DEFAULT_LIMITS, type Limits, type Principal, type Protection } from '@novacron/supergraph';
import type { Refusals } from './refusals.ts';

/** Who may read the schema: a role is held in whatever tenant. */
export type Introspection = 'all' | 'authenticated' | Role | 'none';

export interface ProtectionOptions {
  documentLimits?: Partial<Limits>;
  maximumCost?: number | undefined;
  introspection?: Introspection;
  /** Is told what callers asked for in vain. */
  refusals?: Pick<Refusals, 'fields'>;
}

const STRANGER: Principal = { authenticated: false, scopes: new Set() };

/** What NovaCron's callers may ask of its graph: scopes are the permissions that they hold in some tenant. */
export function createProtection({ documentLimits, maximumCost, introspection = 'all', refusals }: ProtectionOptions): Protection<RequestContext> {
  const principals = new WeakMap<Viewer, Principal>();

  function principalOf({ viewer }: RequestContext): Principal {
    if (viewer === null) return STRANGER;
    const principal = principals.get(viewer) ?? { authenticated: true, scopes: new Set(permissionsOf(viewer)), ...(viewer.owes && { owes: OWED[viewer.owes] }) };
    principals.set(viewer, principal);
    return principal;
  }

  function mayIntrospect({ viewer }: RequestContext): boolean {
    if (introspection === 'all' || introspection === 'none') return introspection === 'all';
    if (introspection === 'authenticated') return viewer !== null;
    return viewer?.roles.some(({ role }) => role === introspection) ?? false;
  }

  return { principalOf, mayIntrospect, ...(refusals ? { onRefused: refusals.fields } : {}), limits: { ...DEFAULT_LIMITS, ...documentLimits }, maximumCost };
}
