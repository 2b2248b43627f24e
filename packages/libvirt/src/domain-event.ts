import type { Codec } from './codec.ts';
import { int, string } from './codec.ts';
import type { EventRow } from './event-row.ts';
import { eventRow } from './event-row.ts';
import { LIMIT } from './limits.ts';
import type { DomainRef, TypedParams } from './structures.ts';
import { domain, typedParams } from './structures.ts';

/**
 * What can happen to a domain, and its details; the position in a list is libvirt's number.
 * Source: libvirt 9.0.0 include/libvirt/libvirt-domain.h, virDomainEventType and the virDomainEvent*DetailType enums.
 */
const LIFECYCLE = {
  defined: ['added', 'updated', 'renamed', 'from-snapshot'],
  undefined: ['removed', 'renamed'],
  started: ['booted', 'migrated', 'restored', 'from-snapshot', 'wakeup'],
  suspended: [
    'paused', 'migrated', 'ioerror', 'watchdog', 'restored', 'from-snapshot', 'api-error', 'postcopy',
    'postcopy-failed',
  ],
  resumed: ['unpaused', 'migrated', 'from-snapshot', 'postcopy', 'postcopy-failed'],
  stopped: ['shutdown', 'destroyed', 'crashed', 'migrated', 'saved', 'failed', 'from-snapshot'],
  shutdown: ['finished', 'guest', 'host'],
  pmsuspended: ['memory', 'disk'],
  crashed: ['panicked', 'crashloaded'],
} as const;

type LifecycleName = keyof typeof LIFECYCLE;

/** A domain came, went, or changed its state. `unknown` stands for numbers that this client does not know. */
export type LifecycleEvent = {
  readonly kind: 'lifecycle';
  readonly domain: DomainRef;
  readonly eventCode: number;
  readonly detailCode: number;
} & (
  | {
      [Name in LifecycleName]: { readonly event: Name; readonly detail: (typeof LIFECYCLE)[Name][number] | 'unknown' };
    }[LifecycleName]
  | { readonly event: 'unknown'; readonly detail: 'unknown' }
);

/** A domain rebooted. */
export interface RebootEvent {
  readonly kind: 'reboot';
  readonly domain: DomainRef;
}

/** A guest's agent began or ceased to answer. */
export interface AgentLifecycleEvent {
  readonly kind: 'agent-lifecycle';
  readonly domain: DomainRef;
  readonly state: 'connected' | 'disconnected' | 'unknown';
  readonly reason: 'unknown' | 'domain-started' | 'channel';
}

/** A running domain got a device, lost it, or the guest refused to let go of it. `alias` names it in the domain's XML. */
export interface DeviceEvent<Kind extends 'device-added' | 'device-removed' | 'device-removal-failed'> {
  readonly kind: Kind;
  readonly domain: DomainRef;
  readonly alias: string;
}

/** A migration begins to copy memory once more: the pages that changed meanwhile. The first iteration is 1. */
export interface MigrationIterationEvent {
  readonly kind: 'migration-iteration';
  readonly domain: DomainRef;
  readonly iteration: number;
}

/** A job ended on this host: a migration from it, a save. `params` are those of {@link DomainJob}. */
export interface JobCompletedEvent {
  readonly kind: 'job-completed';
  readonly domain: DomainRef;
  readonly params: TypedParams;
}

/** Event by kind. */
export interface DomainEvents {
  lifecycle: LifecycleEvent;
  reboot: RebootEvent;
  'agent-lifecycle': AgentLifecycleEvent;
  'device-added': DeviceEvent<'device-added'>;
  'device-removed': DeviceEvent<'device-removed'>;
  'device-removal-failed': DeviceEvent<'device-removal-failed'>;
  'migration-iteration': MigrationIterationEvent;
  'job-completed': JobCompletedEvent;
}

export type DomainEventKind = keyof DomainEvents;

const row = <Fields extends object, E>(
  eventId: number,
  message: number,
  fields: { readonly [Name in keyof Fields]: Codec<Fields[Name]> },
  describe: (domain: DomainRef, fields: Fields) => E,
): EventRow<E> => eventRow({ source: 'domain', eventId, message, about: domain }, fields, describe);

const LIFECYCLE_NAMES = Object.keys(LIFECYCLE) as LifecycleName[]; // keys() forgets the key type
const AGENT_STATES = ['unknown', 'connected', 'disconnected'] as const;
const AGENT_REASONS = ['unknown', 'domain-started', 'channel'] as const;

function describeLifecycle(about: DomainRef, eventCode: number, detailCode: number): LifecycleEvent {
  const event = LIFECYCLE_NAMES[eventCode] ?? 'unknown';
  const detail = event === 'unknown' ? 'unknown' : (LIFECYCLE[event][detailCode] ?? 'unknown');
  // the detail was taken from the event's own list
  return { kind: 'lifecycle', domain: about, event, detail, eventCode, detailCode } as LifecycleEvent;
}

/**
 * The events this client knows: one row each.
 * Source: libvirt 9.0.0 src/remote/remote_protocol.x and include/libvirt/libvirt-domain.h (virDomainEventID).
 */
export const DOMAIN_EVENTS: { readonly [Kind in DomainEventKind]: EventRow<DomainEvents[Kind]> } = {
  lifecycle: row(0, 318, { event: int, detail: int }, (about, { event, detail }) =>
    describeLifecycle(about, event, detail),
  ),
  reboot: row(1, 319, {}, (about) => ({ kind: 'reboot', domain: about })),
  'agent-lifecycle': row(18, 348, { state: int, reason: int }, (about, { state, reason }) => ({
    kind: 'agent-lifecycle',
    domain: about,
    state: AGENT_STATES[state] ?? 'unknown',
    reason: AGENT_REASONS[reason] ?? 'unknown',
  })),
  'device-added': row(19, 354, { alias: string }, (about, { alias }) => ({ kind: 'device-added', domain: about, alias })),
  'device-removed': row(15, 333, { alias: string }, (about, { alias }) => ({
    kind: 'device-removed',
    domain: about,
    alias,
  })),
  'device-removal-failed': row(22, 367, { alias: string }, (about, { alias }) => ({
    kind: 'device-removal-failed',
    domain: about,
    alias,
  })),
  'migration-iteration': row(20, 359, { iteration: int }, (about, { iteration }) => ({
    kind: 'migration-iteration',
    domain: about,
    iteration,
  })),
  'job-completed': row(21, 363, { params: typedParams(LIMIT.jobStats) }, (about, { params }) => ({
    kind: 'job-completed',
    domain: about,
    params,
  })),
};
