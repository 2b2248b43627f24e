import type { ErrorRecord, HostId, MigrationId, OperationId, TenantId, UserId, VmId } from '@novacron/core';
import type { MigrationState, OperationState, VmState } from './states.ts';

/** What a vmChanged filter can name, and what the event itself can answer without asking anyone. */
export interface VmFacts {
  name: string;
  state: VmState;
  desiredState: VmState;
  generation: number;
  hostId: HostId | null;
  tags: string[];
}

export interface OperationFacts {
  kind: string;
  state: OperationState;
  progress: number;
  targetType: string;
  targetId: string;
  requestedBy: UserId | null;
  error: ErrorRecord | null;
}

export interface MigrationFacts {
  vmId: VmId;
  state: MigrationState;
  /** 0..1 */
  progress: number;
}

/**
 * The catalogue of events: type -> what it carries. `before` is there so that a filter can match the
 * object before or after the change.
 */
export interface EventCatalogue {
  'vm.created': { entityId: VmId; after: VmFacts; before?: undefined };
  'vm.changed': { entityId: VmId; after: VmFacts; before: VmFacts };
  'vm.drifted': { entityId: VmId; after: VmFacts; before: VmFacts };
  'vm.deleted': { entityId: VmId; after: VmFacts; before: VmFacts };
  'operation.changed': { entityId: OperationId; after: OperationFacts; before?: undefined };
  'migration.changed': { entityId: MigrationId; after: MigrationFacts; before?: undefined };
  'host.changed': { entityId: HostId; after: { name: string; state: string }; before?: undefined };
  /** A user's roles changed: cached viewers of that user are stale. */
  'user.access': { entityId: UserId; after: Record<string, never>; before?: undefined };
  /** A session ended: its access tokens are refused from now on. after.userId names its user. */
  'session.revoked': { entityId: string; after: { userId: UserId }; before?: undefined };
}

export type EventType = keyof EventCatalogue;

/** What a producer hands to `emit`, as the last statement of its transaction. */
export type NewEvent = {
  [Type in EventType]: { type: Type; tenantId: TenantId | null } & EventCatalogue[Type];
}[EventType];

/** A committed event with its place in the one order. */
export type EventRecord = NewEvent & {
  /** Dense, from 1: the cursor. */
  position: number;
  /** When the change was made, RFC 3339. */
  at: string;
};
