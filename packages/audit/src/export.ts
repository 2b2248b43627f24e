import { faultAfter, BEGINNING, type ChainedRow, type Place } from './chain.ts';
import { followLog, type Reader } from './log.ts';
import type { Verdict } from './verification.ts';

const HEAD = /^\{"hash":"([0-9a-f]{64})","entry":/;

/** One line of an export: the entry to the letter, with its hash. */
export const exportLine = ({ hash, content }: Pick<ChainedRow, 'hash' | 'content'>): string => `{"hash":"${hash.toString('hex')}","entry":${content}}`;

/** The whole log as JSON lines, as it is at one moment, in the order of the chain. */
export async function* exportAudit(reader: Reader): AsyncGenerator<string> {
  await reader.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
  try {
    for await (const row of followLog(reader, 0)) yield exportLine(row);
  } finally {
    await reader.query('ROLLBACK');
  }
}

/** Says whether an export is what was chained. Where it ends is for whoever knows how far it should go: `known`. */
export async function verifyExport(lines: AsyncIterable<string>, known: readonly Place[] = []): Promise<Verdict> {
  const faults: string[] = [];
  let [place, entries]: [Place, number] = [BEGINNING, 0];
  const open = new Map(known.map(({ position, hash }) => [position, hash]));
  for await (const line of lines) {
    if (line === '') continue;
    entries += 1;
    const row = parseLine(line);
    if (row === null) {
      faults.push(`line ${entries} is no entry`);
      continue;
    }
    const fault = faultAfter(place, row);
    if (fault !== null) faults.push(fault);
    place = row;
    const hash = open.get(place.position);
    if (hash && !hash.equals(place.hash)) faults.push(`what was written down says something else of everything up to ${place.position}`);
    open.delete(place.position);
  }
  for (const position of open.keys()) faults.push(`what was written down is at ${position}, which is missing`);
  return { entries, head: { position: place.position, hash: place.hash }, sealed: null, faults };
}

function parseLine(line: string): ChainedRow | null {
  const head = HEAD.exec(line);
  if (head?.[1] === undefined || !line.endsWith('}')) return null;
  const content = line.slice(head[0].length, -1);
  try {
    const { position } = JSON.parse(content) as { position: unknown };
    return typeof position === 'number' ? { position, content, hash: Buffer.from(head[1], 'hex'), columns: {} } : null;
  } catch {
    return null;
  }
}
