import type { DomainState } from '@novacron/libvirt';
import type { ObservedState } from './generated/prisma/enums.ts';

/** What a host said of a domain, and when in the order of asking: an older report loses against a newer one. */
export interface Observation {
  observed: ObservedState;
  /** Why, in libvirt's word, where it says more than the state. */
  reason: string | null;
  epoch: number;
  seq: number;
}

/** libvirt's states in ours. */
export function readState({ state, reason }: Pick<DomainState, 'state' | 'reason'>): { observed: ObservedState; reason: string | null } {
  switch (state) {
    case 'running':
    case 'blocked':
    case 'shutdown': // on its way down: it runs until it is off
      return { observed: 'RUNNING', reason: null };
    case 'paused':
      // on its way up, its CPUs have never run: it is off until it runs
      return reason === 'starting-up' ? { observed: 'STOPPED', reason: null } : { observed: 'PAUSED', reason: null };
    case 'pmsuspended':
      return { observed: 'PAUSED', reason: null };
    case 'shutoff':
      return reason === 'crashed' ? { observed: 'CRASHED', reason: 'crashed' } : { observed: 'STOPPED', reason: reason === 'unknown' ? null : reason };
    case 'crashed':
      return { observed: 'CRASHED', reason: 'crashed' };
    case 'nostate':
      return { observed: 'UNKNOWN', reason: null };
  }
}
