import type { Logger } from 'pino';
import type { Database, MigrationRow } from './database.ts';
import { isStuck, remember, type Sample } from './convergence.ts';
import { phaseOf, predictMs, progressOf, type JobStats } from './job-stats.ts';
import { writeMigration, type Change } from './store.ts';

/** Writes down how a migration goes, one transaction at a time: what comes meanwhile is joined to the next. */
export interface ProgressWriter {
  /** Never throws: what could not be written is written with what comes next. */
  write(change: Change): void;
  /** It is in this state now, whatever libvirt measures. */
  hold(state: 'SWITCHING'): void;
  /** Someone has cancelled it. Once is enough. */
  cancel(): void;
  /** What libvirt measures: at most a few times a second, so that whoever watches can follow. */
  measure(stats: JobStats): void;
  /** Resolves when all of it is written, or was given up. */
  flush(): Promise<void>;
}

const MEASURE_MS = 200;

export function createProgressWriter(database: Database, row: MigrationRow, logger: Logger): ProgressWriter {
  let pending: Change | null = null;
  let writing: Promise<void> | null = null;
  let samples: Sample[] = [];
  let progress = row.progress;
  let memoryTotal = Number(row.memoryTotal ?? 0);
  let wasSlowedDown = row.autoConverge;
  let held: 'SWITCHING' | 'CANCELLING' | null = null;
  let measuredAt = -Infinity;

  const drain = async (): Promise<void> => {
    while (pending) {
      const change = pending;
      pending = null;
      try {
        await writeMigration(database, row.id, change);
      } catch (error) {
        logger.warn({ err: error, migrationId: row.id }, 'how the migration goes could not be written down');
        return;
      }
    }
  };

  const write = (change: Change): void => {
    pending = { ...pending, ...change };
    writing ??= drain().finally(() => {
      writing = null;
    });
  };

  const flush = async (): Promise<void> => {
    if (!writing) return;
    await writing;
    await flush(); // what came meanwhile
  };

  return {
    write,
    hold(state) {
      if (held === null) write({ state });
      held ??= state;
    },
    cancel() {
      if (held !== 'CANCELLING') write({ state: 'CANCELLING', message: null, predictedDurationMs: null });
      held = 'CANCELLING';
    },
    measure(stats) {
      if (performance.now() - measuredAt < MEASURE_MS) return;
      measuredAt = performance.now();
      const { memory, disks, throttle } = stats;
      samples = remember(samples, { atMs: performance.now(), iteration: memory.iteration, remaining: memory.remaining });
      memoryTotal = memory.total || memoryTotal;
      progress = progressOf(stats, memoryTotal, progress);
      wasSlowedDown ||= throttle > 0;
      const phase = phaseOf(stats);
      write({
        ...(held === null && phase !== null ? { state: phase } : {}),
        progress,
        memoryTotal: memory.total === 0 ? null : BigInt(memory.total),
        memoryTransferred: BigInt(memory.processed),
        memoryRemaining: memory.total === 0 ? null : BigInt(memory.remaining),
        disksTransferred: disks.total === 0 ? null : BigInt(disks.processed),
        throughput: memory.total === 0 ? disks.bytesPerSecond : memory.bytesPerSecond,
        dirtyRate: memory.dirtyBytesPerSecond,
        iteration: memory.iteration,
        predictedDurationMs: predictMs(stats),
        autoConverge: wasSlowedDown,
        ...(held === 'CANCELLING' ? {} : { message: messageOf(throttle, isStuck(samples)) }),
      });
    },
    flush,
  };
}

/** What a person might want to know of how it goes. */
function messageOf(throttle: number, stuck: boolean): string | null {
  if (throttle > 0) return `The guest changes its memory about as fast as it can be sent: it is slowed down by ${throttle} %, so that it can be caught up with.`;
  return stuck ? 'The guest changes its memory about as fast as it can be sent: this gets no further yet.' : null;
}
