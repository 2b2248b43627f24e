/** Names as in the public graph; packages/graphql gives each its description. */
export const VM_STATES = [
  'PENDING',
  'PROVISIONING',
  'STOPPED',
  'STARTING',
  'RUNNING',
  'PAUSING',
  'PAUSED',
  'RESUMING',
  'STOPPING',
  'REBOOTING',
  'MIGRATING',
  'DELETING',
  'DELETED',
  'CRASHED',
  'ERROR',
  'UNKNOWN',
] as const;
export type VmState = (typeof VM_STATES)[number];

/** The states of a VM that each mode of migration starts from. */
export const MIGRATES_FROM = {
  LIVE: ['RUNNING', 'PAUSED'],
  OFFLINE: ['STOPPED', 'CRASHED'],
} as const satisfies Record<string, readonly VmState[]>;

export const HOST_STATES = ['ONLINE', 'OFFLINE', 'MAINTENANCE', 'DRAINING'] as const;
export type HostState = (typeof HOST_STATES)[number];

export const MIGRATION_STATES = [
  'QUEUED',
  'CHECKING',
  'PREPARING',
  'COPYING_DISKS',
  'COPYING_MEMORY',
  'SWITCHING',
  'COMPLETING',
  'SUCCEEDED',
  'FAILED',
  'CANCELLING',
  'CANCELLED',
  'ROLLED_BACK',
] as const;
export type MigrationState = (typeof MIGRATION_STATES)[number];

export const OPERATION_STATES = ['QUEUED', 'RUNNING', 'SUCCEEDED', 'FAILED', 'CANCELLING', 'CANCELLED'] as const;
export type OperationState = (typeof OPERATION_STATES)[number];
