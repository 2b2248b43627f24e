import type { Viewer } from '@novacron/contracts';
import type { PlannedSubscription, Variables } from './plan.ts';

/**
 * Subgraphs whose answers depend on the viewer's roles alone. What any other subgraph answers may depend on who the
 * viewer is (identity shows users more of themselves, and which of their sessions asks), so it is shared by the
 * subscriptions of one session only.
 */
const ANSWERS_BY_ROLE: ReadonlySet<string> = new Set(['vms', 'operations', 'monitoring']);

/** JSON that is equal for equal values, whatever the order of keys. */
function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null';
  const entries = Object.entries(value).filter(([, inner]) => inner !== undefined);
  return `{${entries.toSorted(([one], [other]) => (one < other ? -1 : 1)).map(([key, inner]) => `${JSON.stringify(key)}:${canonical(inner)}`).join(',')}}`;
}

/** Equal for subscriptions that get the same messages: same operation, same variables, same rights. */
export function groupKey(subscription: PlannedSubscription, variables: Variables, viewer: Viewer): string {
  const roles = viewer.roles.map(({ role, tenantId }) => `${role}@${tenantId}`).toSorted();
  const byViewer = [...subscription.services].some((service) => !ANSWERS_BY_ROLE.has(service));
  const relevant = Object.fromEntries(Object.entries(variables).filter(([name]) => name !== subscription.cursorVariable));
  return canonical([subscription.key, relevant, [...new Set(roles)], byViewer ? viewer.sessionId : null]);
}
