import { sharedNow } from './processes.ts';

/**
 * What is written into the name of a VM that changes, so that whoever is told of the change knows when it was committed, and
 * which one it was of all of that VM.
 */
export interface Mark {
  /** 1, 2, 3 ... */
  sequence: number;
  /** On the clock that all processes share. */
  at: number;
}

export const writeMark = (sequence: number): string => `${sequence}@${sharedNow().toFixed(3)}`;

const PLACE = '"name":"';

/** The mark in a message as it came over the wire; null where there is none. */
export function readMark(message: string): Mark | null {
  // the first name in it: that of the VM, which subscriptions ask for before any other
  const start = message.indexOf(PLACE) + PLACE.length;
  const between = message.indexOf('@', start);
  if (start < PLACE.length || between < 0) return null;
  return { sequence: Number(message.slice(start, between)), at: Number.parseFloat(message.slice(between + 1, between + 20)) };
}
