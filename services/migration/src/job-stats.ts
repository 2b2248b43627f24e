import type { MigrationState } from '@novacron/contracts';
import type { DomainJob, TypedParams } from '@novacron/libvirt';

/** What libvirt says of a migration under way: pure. Names as in virDomainGetJobStats (https://libvirt.org/html/libvirt-libvirt-domain.html). */
export interface JobStats {
  elapsedMs: number;
  memory: Transfer & { dirtyBytesPerSecond: number; iteration: number };
  disks: Transfer;
  /** How long the guest is expected to stand still; once it is over: stood. Null: not known. */
  downtimeMs: number | null;
  /** By how much the guest is slowed down to catch up with it, in percent. */
  throttle: number;
}

interface Transfer {
  total: number;
  processed: number;
  remaining: number;
  bytesPerSecond: number;
}

/** virDomainJobOperation: MIGRATION_OUT. */
const MIGRATION_OUT = 5;

/** libvirt's numbers of many bytes are bigints; what they count here a double holds. */
const numberOf = (params: TypedParams, name: string): number | null => {
  const value = params[name];
  return typeof value === 'number' || typeof value === 'bigint' ? Number(value) : null;
};

/** A migration of the domain away from this host that is under way now; null when there is none. */
export const readRunningJob = ({ type, params }: DomainJob): JobStats | null =>
  (type === 'bounded' || type === 'unbounded') && numberOf(params, 'operation') === MIGRATION_OUT ? readStats(params) : null;

/** Statistics, of a job under way or over. */
export function readStats(params: TypedParams): JobStats {
  const n = (name: string): number => numberOf(params, name) ?? 0;
  return {
    elapsedMs: n('time_elapsed'),
    memory: {
      total: n('memory_total'),
      processed: n('memory_processed'),
      remaining: n('memory_remaining'),
      bytesPerSecond: n('memory_bps'),
      dirtyBytesPerSecond: n('memory_dirty_rate') * n('memory_page_size'),
      iteration: n('memory_iteration'),
    },
    disks: { total: n('disk_total'), processed: n('disk_processed'), remaining: n('disk_remaining'), bytesPerSecond: n('disk_bps') },
    downtimeMs: numberOf(params, 'downtime'),
    throttle: n('auto_converge_throttle'),
  };
}

/** The phase that shows: memory is sent once the disks are there. Null while nothing is sent yet: the target's hypervisor is being started. */
export function phaseOf({ memory, disks }: JobStats): Extract<MigrationState, 'COPYING_DISKS' | 'COPYING_MEMORY'> | null {
  if (memory.total > 0) return 'COPYING_MEMORY';
  return disks.total > 0 ? 'COPYING_DISKS' : null;
}

/** What is there is never all before it is over. */
const MOST = 0.99;

/** Share of what is to be sent that was sent, 0..0.99. Memory that changed and is sent again counts as not sent: `before` is the least. */
export function progressOf({ memory, disks }: JobStats, memoryTotal: number, before: number): number {
  const memoryAll = memory.total || memoryTotal;
  const all = memoryAll + disks.total;
  const done = (memory.total === 0 ? 0 : memory.total - memory.remaining) + (disks.total - disks.remaining);
  return all === 0 ? before : Math.min(MOST, Math.max(before, done / all));
}

/** How long it still takes at this pace; null when it would not end, or nobody can say. */
export function predictMs(stats: JobStats): number | null {
  const { memory, disks } = stats;
  const of = (remaining: number, pace: number): number | null => (remaining === 0 ? 0 : pace > 0 ? (remaining / pace) * 1000 : null);
  if (phaseOf(stats) === 'COPYING_DISKS') return of(disks.remaining, disks.bytesPerSecond);
  // in the first pass, nothing that was sent has changed yet, for all that is known
  const pace = memory.bytesPerSecond - (memory.iteration > 1 ? memory.dirtyBytesPerSecond : 0);
  return of(memory.remaining, pace);
}

/** What stays to be said of a migration that has succeeded. Of copied disks libvirt says nothing any more. */
export const countsOf = ({ memory, disks, downtimeMs }: JobStats) => ({
  memoryTotal: BigInt(memory.total),
  memoryTransferred: BigInt(memory.processed),
  memoryRemaining: 0n,
  iteration: memory.iteration,
  ...(disks.total === 0 ? {} : { disksTransferred: BigInt(disks.processed) }),
  ...(downtimeMs === null ? {} : { downtimeMs }),
});
