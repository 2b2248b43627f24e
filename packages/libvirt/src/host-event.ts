import { int } from './codec.ts';
import { eventRow } from './event-row.ts';
import type { NetworkRef, PoolRef } from './structures.ts';
import { network, pool } from './structures.ts';

/** Source: libvirt 9.0.0 include/libvirt/libvirt-network.h, virNetworkEventLifecycleType; the position is libvirt's number. */
const NETWORK_LIFECYCLE = ['defined', 'undefined', 'started', 'stopped'] as const;

/** Source: libvirt 9.0.0 include/libvirt/libvirt-storage.h, virStoragePoolEventLifecycleType; the position is libvirt's number. */
const POOL_LIFECYCLE = ['defined', 'undefined', 'started', 'stopped', 'created', 'deleted'] as const;

/** A virtual network came, went, or changed its state. `unknown` stands for a number that this client does not know. */
export interface NetworkEvent {
  readonly network: NetworkRef;
  readonly event: (typeof NETWORK_LIFECYCLE)[number] | 'unknown';
}

/**
 * A storage pool came, went, changed its state, or its list of volumes (`refreshed`). `unknown` stands
 * for a number that this client does not know.
 */
export interface PoolEvent {
  readonly pool: PoolRef;
  readonly event: (typeof POOL_LIFECYCLE)[number] | 'refreshed' | 'unknown';
}

/** Source of the numbers: libvirt 9.0.0 src/remote/remote_protocol.x. */
export const NETWORK_EVENT = eventRow(
  { source: 'network', eventId: 0, message: 315, about: network },
  { event: int, detail: int },
  (about, { event }): NetworkEvent => ({ network: about, event: NETWORK_LIFECYCLE[event] ?? 'unknown' }),
);

/** libvirt has two kinds of events for what is one to a listener. */
export const POOL_EVENTS = {
  lifecycle: eventRow(
    { source: 'pool', eventId: 0, message: 370, about: pool },
    { event: int, detail: int },
    (about, { event }): PoolEvent => ({ pool: about, event: POOL_LIFECYCLE[event] ?? 'unknown' }),
  ),
  refresh: eventRow(
    { source: 'pool', eventId: 1, message: 373, about: pool },
    {},
    (about): PoolEvent => ({ pool: about, event: 'refreshed' }),
  ),
};
