export { DOMAIN_METADATA_URI, DOMAIN_NAME_PREFIX, domainName } from './domains.ts';
export type { EventCatalogue, EventRecord, EventType, NewEvent, OperationFacts, VmFacts } from './events.ts';
export { HOST_METRICS_CHANNEL, VM_METRICS_CHANNEL, type HostSample, type VmSample } from './metrics.ts';
export type { Authenticator, Subgraph } from './service.ts';
export { HOST_STATES, OPERATION_STATES, VM_STATES, type HostState, type OperationState, type VmState } from './states.ts';
export {
  can,
  isPlatformAdmin,
  PERMISSIONS,
  permissionsOf,
  requireInTenant,
  requirePermission,
  requireViewer,
  ROLES,
  seesTenant,
  tenantsWith,
  type Permission,
  type RequestContext,
  type Role,
  type RoleAssignment,
  type Viewer,
} from './viewer.ts';
