import { DomainError } from '@novacron/core';

/** How long samples are kept. */
export const RETENTION_MS = 24 * 60 * 60 * 1000;
/** A history is not kept finer than this. */
export const MIN_STEP_MS = 10_000;
export const MAX_POINTS = 2_000;
const DEFAULT_POINTS = 300;
/** A latest sample older than this says nothing about now. */
export const STALE_AFTER_MS = 15_000;

/** Milliseconds since 1970; `toMs` itself is not part of it. */
export interface HistoryWindow {
  fromMs: number;
  toMs: number;
  stepMs: number;
}

/** The window that was asked for, or BAD_USER_INPUT naming the argument at fault. */
export function historyWindow(
  { from, to, stepMs }: { from: Date; to?: Date | null | undefined; stepMs?: number | null | undefined },
  now: Date,
): HistoryWindow {
  const [fromMs, toMs] = [from.getTime(), (to ?? now).getTime()];
  if (fromMs >= toMs) {
    throw new DomainError('BAD_USER_INPUT', '"from" must be before "to".', { field: to ? 'to' : 'from' });
  }
  if (stepMs != null && stepMs < MIN_STEP_MS) {
    throw new DomainError('BAD_USER_INPUT', `"stepMs" is at least ${MIN_STEP_MS}: nothing finer is kept.`, { field: 'stepMs' });
  }
  const step = stepMs ?? Math.max(Math.ceil((toMs - fromMs) / DEFAULT_POINTS), MIN_STEP_MS);
  const points = Math.ceil((toMs - fromMs) / step);
  if (points > MAX_POINTS) {
    throw new DomainError('BAD_USER_INPUT', `That makes ${points} points, and ${MAX_POINTS} is the most: take a longer "stepMs".`, {
      field: 'stepMs',
    });
  }
  return { fromMs, toMs, stepMs: step };
}

/** Is a sample recent enough to be called the latest? */
export const isFresh = (at: string, nowMs: number): boolean => nowMs - Date.parse(at) <= STALE_AFTER_MS;
