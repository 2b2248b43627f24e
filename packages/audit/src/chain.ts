import { createHash } from 'node:crypto';

/** A row of the log, as it is in the database or in an export. */
export interface ChainedRow {
  position: number;
  /** The entry, to the letter. */
  content: string;
  hash: Buffer;
  /** What other columns repeat of the entry. */
  columns: Readonly<Partial<Record<'id' | 'at' | 'userId' | 'tenantId' | 'action' | 'outcome' | 'targetId' | 'requestId', string | null>>>;
}

/** A place in the chain: the hash there is of everything up to it. */
export interface Place {
  position: number;
  hash: Buffer;
}

export const BEGINNING: Place = { position: 0, hash: Buffer.alloc(32) };

export const hashAfter = (before: Buffer, content: string): Buffer => createHash('sha256').update(before).update(content).digest();

/** What is wrong with a row that comes after this place; null when nothing is. */
export function faultAfter(before: Place, row: ChainedRow): string | null {
  if (row.position !== before.position + 1) return row.position > before.position ? `${row.position - before.position - 1} missing before ${row.position}` : `${row.position} is out of order`;
  if (!hashAfter(before.hash, row.content).equals(row.hash)) return `${row.position} was changed`;
  const entry = JSON.parse(row.content) as Record<string, unknown>; // its hash is right: it is what was chained
  if (entry['position'] !== row.position) return `${row.position} says that it is ${String(entry['position'])}`;
  const wrong = Object.entries(row.columns).find(([name, value]) => (entry[name] ?? null) !== value);
  return wrong === undefined ? null : `${row.position} was changed in "${wrong[0]}"`;
}
