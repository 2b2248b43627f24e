/**
 * What libvirt says about a domain's state, in words. The position in a list is libvirt's number.
 * Source: libvirt 9.0.0 include/libvirt/libvirt-domain.h, virDomainState and the virDomain*Reason enums.
 */
const REASONS = {
  nostate: ['unknown'],
  running: [
    'unknown', 'booted', 'migrated', 'restored', 'from-snapshot', 'unpaused', 'migration-canceled',
    'save-canceled', 'wakeup', 'crashed', 'postcopy', 'postcopy-failed',
  ],
  blocked: ['unknown'],
  paused: [
    'unknown', 'user', 'migration', 'save', 'dump', 'ioerror', 'watchdog', 'from-snapshot', 'shutting-down',
    'snapshot', 'crashed', 'starting-up', 'postcopy', 'postcopy-failed',
  ],
  shutdown: ['unknown', 'user'],
  shutoff: [
    'unknown', 'shutdown', 'destroyed', 'crashed', 'migrated', 'saved', 'failed', 'from-snapshot', 'daemon',
  ],
  crashed: ['unknown', 'panicked'],
  pmsuspended: ['unknown'],
} as const;

/** A state's name; `nostate` also stands for a number that this client does not know. */
export type DomainStateName = keyof typeof REASONS;

const STATES = Object.keys(REASONS) as DomainStateName[]; // keys() forgets the key type

/** The state of a domain and why it is in it; `reason` is `unknown` for numbers this client does not know. */
export type DomainState = {
  [Name in DomainStateName]: {
    readonly state: Name;
    readonly reason: (typeof REASONS)[Name][number];
    /** libvirt's number of the reason. */
    readonly reasonCode: number;
  };
}[DomainStateName];

/** libvirt's numbers in words. */
export function describeState(stateCode: number, reasonCode: number): DomainState {
  const state = STATES[stateCode] ?? 'nostate';
  const reason = REASONS[state][reasonCode] ?? 'unknown';
  return { state, reason, reasonCode } as DomainState; // the reason was taken from the state's own list
}
