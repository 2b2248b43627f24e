export { checkCloudInit, checkSshKey, CLOUD_INIT_LIMITS, SEED_BYTES, type CloudInit, type CloudInitInput } from './cloud-init.ts';
export { DOMAIN_METADATA_URI, DOMAIN_NAME_PREFIX, domainName } from './domains.ts';
export type { EventCatalogue, EventRecord, EventType, MigrationFacts, NewEvent, OperationFacts, VmFacts } from './events.ts';
export { HOST_METRICS_CHANNEL, VM_METRICS_CHANNEL, type HostSample, type VmSample } from './metrics.ts';
export { UPLOADED_FILES_PATH, UPLOADS_PATH, type ReceiveUpload, type UploadReceipt } from './uploads.ts';
export { API_TOKEN_PREFIX, type Authenticator, type Subgraph } from './service.ts';
export { ENDED_SESSIONS_KEY, KNOWN_TO_KEY, USED_SESSIONS_KEY } from './sessions.ts';
export { HOST_STATES, MIGRATES_FROM, MIGRATION_STATES, OPERATION_STATES, VM_STATES, type HostState, type MigrationState, type OperationState, type VmState } from './states.ts';
export { declareStep, type StepDeclaration } from './step.ts';
export * as vmsSteps from './vms.ts';
export type { HeldVm } from './vms.ts';
export * as storageSteps from './storage.ts';
export * as networkSteps from './network.ts';
export * as migrationSteps from './migration.ts';
export type { Device, DiskDevice, NicDevice } from './devices.ts';
export {
  can,
  FLEET_SCOPES,
  isPlatformAdmin,
  OWED,
  PERMISSIONS,
  permissionsOf,
  requireInTenant,
  requirePermission,
  requireScope,
  requireSettled,
  requireSignedIn,
  requireViewer,
  ROLES,
  seesTenant,
  tenantFor,
  tenantsWith,
  type Permission,
  type RequestContext,
  type Role,
  type RoleAssignment,
  type Viewer,
} from './viewer.ts';
