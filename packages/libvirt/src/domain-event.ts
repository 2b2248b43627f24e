import type { Codec } from './codec.ts';
import { int, struct } from './codec.ts';
import type { DomainRef } from './structures.ts';
import { domain } from './structures.ts';
import type { XdrReader } from './xdr.ts';

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

/** Event by kind. */
export interface DomainEvents {
  lifecycle: LifecycleEvent;
  reboot: RebootEvent;
  'agent-lifecycle': AgentLifecycleEvent;
}

export type DomainEventKind = keyof DomainEvents;

/** How one kind of event is asked for and read. */
export interface DomainEventRow<E> {
  /** virConnectDomainEventID. */
  readonly eventId: number;
  /** The number of the message that carries it (REMOTE_PROC_DOMAIN_EVENT_CALLBACK_*). */
  readonly message: number;
  read(reader: XdrReader): { callbackId: number; event: E };
}

function row<Fields extends object, E>(
  eventId: number,
  message: number,
  fields: { readonly [Name in keyof Fields]: Codec<Fields[Name]> },
  describe: (domain: DomainRef, fields: Fields) => E,
): DomainEventRow<E> {
  const head = struct({ callbackId: int, domain });
  const rest = struct<Fields>(fields);
  return {
    eventId,
    message,
    read(reader) {
      const { callbackId, domain: about } = head.read(reader);
      return { callbackId, event: describe(about, rest.read(reader)) };
    },
  };
}

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
export const DOMAIN_EVENTS: { readonly [Kind in DomainEventKind]: DomainEventRow<DomainEvents[Kind]> } = {
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
};
