import type { DomainState } from '@novacron/libvirt';
import type { TargetSeen } from './generated/prisma/enums.ts';
import type { MigrationMode } from './rules.ts';

/**
 * Where a guest is, from what both hosts show, and what to do about it: pure. Never do two of it run; never is one that may be
 * the only one destroyed.
 */
export const SOURCE_SEEN = ['MOVING', 'HERE', 'HELD', 'OFF', 'GONE'] as const;
/**
 * MOVING: its migration is under way. HERE: the guest runs, or rests as its owner left it. HELD: its migration stopped it, and is
 * not under way any more. OFF: it ended meanwhile. GONE: no domain, or one that libvirt says has migrated.
 */
export type SourceSeen = (typeof SOURCE_SEEN)[number];

export type { TargetSeen };

export interface Situation {
  mode: MigrationMode;
  source: SourceSeen;
  /** As the target's agent sees it now; null: it does not say. */
  target: TargetSeen | null;
  /**
   * NONE: nothing can have gone wrong yet. LOST: one was made that nobody followed to its end. ENDED: one ended, and the guest was never
   * held for the last of its memory: it can't run on the target. SWITCHED: one ended after it was held.
   */
  attempt: 'NONE' | 'LOST' | 'ENDED' | 'SWITCHED';
  cancelled: boolean;
}

export type Verdict =
  /** Wait for libvirt, and tell how far it is; when cancelled, have it end. */
  | 'FOLLOW'
  /** Begin, or begin again. */
  | 'BEGIN'
  /** Ask both again. */
  | 'WAIT'
  /** It is on the target, and only there. */
  | 'ARRIVED'
  /** It is on the source, and only there. */
  | 'STAYED'
  /** It runs on the target: what is left on the source must not run. */
  | 'DESTROY_SOURCE'
  /** It is nowhere but here: let it go on. */
  | 'RESUME_SOURCE'
  /** What waits on the target must be gone before it may go on here. */
  | 'DROP_TARGET'
  /** It is on neither host. */
  | 'LOST';

/** What to do next. */
export function decide({ mode, source, target, attempt, cancelled }: Situation): Verdict {
  const again = cancelled || attempt === 'ENDED' || attempt === 'SWITCHED' ? ('STAYED' as const) : ('BEGIN' as const);
  switch (source) {
    case 'MOVING':
      return 'FOLLOW';
    case 'HERE':
      if (attempt === 'NONE') return again;
      if (target === 'ARRIVED') return mode === 'LIVE' ? 'DESTROY_SOURCE' : 'ARRIVED'; // what rests in two places runs in none
      // What waits on the target is for the undo of its check to remove.
      if (attempt === 'ENDED' && mode === 'LIVE') return 'STAYED';
      // libvirt resumes the source when it does not hear from the target, which may run the guest by then
      // (libvirt 9.0.0 src/qemu/qemu_migration.c, qemuMigrationSrcPerformPeer2Peer3: "there is a small chance").
      return ({ MISSING: again, INCOMING: 'DROP_TARGET', UNSEEN: 'WAIT' } as const)[target ?? 'UNSEEN'];
    case 'HELD':
      return ({ ARRIVED: 'DESTROY_SOURCE', MISSING: 'RESUME_SOURCE', INCOMING: 'DROP_TARGET', UNSEEN: 'WAIT' } as const)[target ?? 'UNSEEN'];
    case 'OFF':
      return ({ ARRIVED: 'ARRIVED', MISSING: 'STAYED', INCOMING: 'DROP_TARGET', UNSEEN: 'WAIT' } as const)[target ?? 'UNSEEN'];
    case 'GONE':
      return ({ ARRIVED: 'ARRIVED', MISSING: 'LOST', INCOMING: 'WAIT', UNSEEN: 'WAIT' } as const)[target ?? 'UNSEEN'];
  }
}

/** What the source shows. `moving`: libvirt speaks of a migration under way. */
export function readSource(state: DomainState | null, moving: boolean, mode: MigrationMode): SourceSeen {
  if (state === null) return 'GONE';
  if (moving) return 'MOVING';
  if (state.state === 'paused' && (state.reason === 'migration' || state.reason === 'postcopy' || state.reason === 'postcopy-failed')) return 'HELD';
  if (state.state === 'shutoff' || state.state === 'crashed') {
    if (mode === 'OFFLINE') return 'HERE';
    return state.state === 'shutoff' && state.reason === 'migrated' ? 'GONE' : 'OFF';
  }
  return 'HERE';
}

/**
 * Does the guest, or what was made for it, only wait there? Paused, and for no reason of its own; or off, since its start failed:
 * libvirt defines a guest that arrives before it lets it go, and kills it when that fails, while the source lets its own go on
 * (libvirt 9.0.0 src/qemu/qemu_migration.c, qemuMigrationDstFinish). What is off for any other reason may have run there.
 */
const isIncoming = ({ state, reason }: DomainState): boolean =>
  (state === 'paused' && (reason === 'migration' || reason === 'starting-up')) || (state === 'shutoff' && reason === 'failed');

export function readTarget(state: DomainState | null): TargetSeen {
  if (state === null) return 'MISSING';
  return isIncoming(state) ? 'INCOMING' : 'ARRIVED';
}
