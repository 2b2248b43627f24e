import { can, isPlatformAdmin, requirePermission, type EventRecord, type Permission, type Viewer, type VmFacts } from '@novacron/contracts';
import { DomainError } from '@novacron/core';
import { encodeCursor, type EventStreamOf, type SampleStreamOf, type Streams } from '@novacron/supergraph';
import type { Sample } from './samples.ts';

export type EventStream = EventStreamOf<EventRecord, Viewer>;
export type SampleStream = SampleStreamOf<Sample, Viewer>;

const admits =
  (permission: Permission) =>
  (viewer: Viewer | null): Viewer =>
    requirePermission(viewer, permission);

/** Objects that one subscription names: each is listened to by itself. Whoever wants more hears of all. */
export const IDS_AT_MOST = 200;

function idsOf(value: unknown): readonly string[] | null {
  if (!Array.isArray(value)) return null;
  if (value.length > IDS_AT_MOST) throw new DomainError('BAD_USER_INPUT', `A subscription names at most ${IDS_AT_MOST} ids.`, { field: 'ids' });
  return value.map((id) => String(id).toLowerCase());
}

const utc = (at: string): string => new Date(at).toISOString();

/** An event of no tenant concerns the fleet itself. */
const seesEvent = (viewer: Viewer, permission: Permission, event: EventRecord): boolean =>
  (event.tenantId === null ? isPlatformAdmin(viewer) : true) && can(viewer, permission, event.tenantId ?? undefined);

interface VmFilter {
  states?: readonly string[] | null;
  hostId?: string | null;
  tenantId?: string | null;
  tags?: readonly string[] | null;
  search?: string | null;
}

const matchesFilter = (filter: VmFilter, vm: VmFacts, tenantId: string | null): boolean =>
  (filter.states == null || filter.states.includes(vm.state)) &&
  (filter.hostId == null || filter.hostId.toLowerCase() === vm.hostId) &&
  (filter.tenantId == null || filter.tenantId.toLowerCase() === tenantId) &&
  (filter.tags == null || filter.tags.every((tag) => vm.tags.includes(tag))) &&
  (filter.search == null || vm.name.toLowerCase().includes(filter.search.toLowerCase()));

type VmEventRecord = Extract<EventRecord, { type: `vm.${string}` }>;
type OperationEventRecord = Extract<EventRecord, { type: 'operation.changed' }>;
type MigrationEventRecord = Extract<EventRecord, { type: 'migration.changed' }>;

const vmChanged: EventStream = {
  source: 'events',
  noun: 'vm',
  admit: admits('vm:read'),
  ids: (args) => idsOf(args['ids']),
  shows(event, args, viewer) {
    const { before, after, tenantId } = event as VmEventRecord; // the hub hands over events of this noun only
    if (!seesEvent(viewer, 'vm:read', event)) return false;
    const filter = args['filter'] as VmFilter | null | undefined; // coerced by the schema's VmFilter
    return filter == null || [before, after].some((vm) => vm !== undefined && matchesFilter(filter, vm, tenantId));
  },
  value(event) {
    const { position, type, at, entityId, after } = event as VmEventRecord; // as above
    return { cursor: encodeCursor(position), type, at: utc(at), vm: { id: entityId, ...after } };
  },
};

const operationChanged: EventStream = {
  source: 'events',
  noun: 'operation',
  admit: admits('operation:read'),
  ids: (args) => (args['id'] == null ? null : idsOf([args['id']])),
  shows: (event, _args, viewer) => seesEvent(viewer, 'operation:read', event),
  value(event) {
    const { entityId, after } = event as OperationEventRecord; // the hub hands over events of this noun only
    return { id: entityId, ...after };
  },
};

const migrationProgress: EventStream = {
  source: 'events',
  noun: 'migration',
  admit: admits('migration:read'),
  ids: (args) => idsOf([args['id']]),
  shows: (event, _args, viewer) => seesEvent(viewer, 'migration:read', event),
  value(event) {
    const { entityId, after } = event as MigrationEventRecord; // the hub hands over events of this noun only
    return { id: entityId, ...after };
  },
};

const vmMetrics: SampleStream = {
  source: 'samples',
  kind: 'vm',
  admit: admits('vm:read'),
  ids: (args) => idsOf(args['ids']),
  shows: (sample, _args, viewer) => sample.kind === 'vm' && can(viewer, 'vm:read', sample.value.tenantId),
  value: (sample) => ({ ...sample.value, at: utc(sample.value.at), vm: { id: sample.id } }),
};

const hostMetrics: SampleStream = {
  source: 'samples',
  kind: 'host',
  admit: admits('host:read'),
  ids: (args) => idsOf(args['ids']),
  shows: (_sample, _args, viewer) => can(viewer, 'host:read'),
  value: (sample) => ({ ...sample.value, at: utc(sample.value.at), host: { id: sample.id } }),
};

/** Every field of Subscription, by its name; a test compares them with the schema. */
export const STREAMS: Streams<EventRecord, Sample, Viewer> = { vmChanged, operationChanged, migrationProgress, vmMetrics, hostMetrics };
