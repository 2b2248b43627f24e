import { DomainError } from '@novacron/core';

/** A position in the event log as clients see it: opaque, so that what it is made of may change. */
export const encodeCursor = (position: number): string => Buffer.from(`e${position}`).toString('base64url');

/** The position that a client came back with; BAD_USER_INPUT for text that no gateway made. */
export function decodeCursor(cursor: string): number {
  const position = Number(/^e(\d{1,16})$/.exec(Buffer.from(cursor, 'base64url').toString())?.[1] ?? Number.NaN);
  if (!Number.isSafeInteger(position) || encodeCursor(position) !== cursor) {
    throw new DomainError('BAD_USER_INPUT', '"after" is no cursor of an event: send one that a message carried.', { field: 'after' });
  }
  return position;
}
