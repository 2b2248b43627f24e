import type { Viewer } from '@novacron/contracts';

/**
 * Subgraphs whose answers depend on the viewer's roles alone. What any other subgraph answers may depend on who the
 * viewer is (identity shows users more of themselves, and which of their sessions asks), so it is shared by the
 * subscriptions of one session only.
 */
const ANSWERS_BY_ROLE: ReadonlySet<string> = new Set(['vms', 'operations', 'monitoring']);

/** Equal for viewers whom these subgraphs answer alike. */
export function rightsOf(viewer: Viewer, services: ReadonlySet<string>): { roles: string[]; scopes: string[] | null; sessionId: string | null } {
  const roles = viewer.roles.map(({ role, tenantId }) => `${role}@${tenantId}`).toSorted();
  const byViewer = [...services].some((service) => !ANSWERS_BY_ROLE.has(service));
  return { roles: [...new Set(roles)], scopes: viewer.scopes?.toSorted() ?? null, sessionId: byViewer ? viewer.sessionId : null };
}
