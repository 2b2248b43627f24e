import type { Secrets } from '@novacron/secrets';
import { BEGINNING, faultAfter, type Place } from './chain.ts';
import { followLog, readHead, type Reader } from './log.ts';
import { openSeal } from './seal.ts';

export interface Verdict {
  /** How many entries there are. */
  entries: number;
  /** Where the chain ends. Whoever writes it down can prove later that nothing up to it has changed since. */
  head: Place;
  /** The newest place that identity has sealed; null where it is not known: without the key, or before the first time. */
  sealed: { position: number; at: Date } | null;
  /** What is wrong, the first twenty; empty: nothing. */
  faults: string[];
}

export interface VerifyOptions {
  /** May read the log. Gets a transaction of its own. */
  reader: Reader;
  /** To open the seal with; null: the seal is not looked at. */
  secrets: Secrets | null;
  /** Places that were written down elsewhere. */
  known?: readonly Place[];
}

const MOST = 20;

/** Reads the whole log, as it is at one moment, and says whether it is what was chained. */
export async function verifyAudit({ reader, secrets, known = [] }: VerifyOptions): Promise<Verdict> {
  await reader.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
  try {
    const faults: string[] = [];
    const stored = await readHead(reader);
    const sealed = stored.seal && secrets ? openSeal(secrets, stored.seal) : null;
    if (stored.seal && secrets && sealed === null) faults.push('the seal can not be opened with this key: it was changed, or sealed with another one');
    if (stored.seal === null && secrets && stored.position > 0) faults.push('the seal is missing');
    const expected = new Map<number, { hash: Buffer; by: string }[]>();
    const expect = (place: Place, by: string) => expected.set(place.position, [...(expected.get(place.position) ?? []), { hash: place.hash, by }]);
    expect(stored, 'the head');
    if (sealed) expect(sealed, 'the seal');
    for (const place of known) expect(place, 'what was written down');

    let [place, entries] = [BEGINNING, 0];
    const compare = () => {
      for (const { hash, by } of expected.get(place.position) ?? []) if (!hash.equals(place.hash)) faults.push(`${by} says something else of everything up to ${place.position}`);
      expected.delete(place.position);
    };
    compare();
    for await (const row of followLog(reader, 0)) {
      const fault = faultAfter(place, row);
      if (fault !== null) faults.push(fault);
      place = row;
      entries += 1;
      compare();
    }
    for (const [position, others] of expected) for (const { by } of others) faults.push(position > place.position ? `everything after ${place.position} is missing: ${by} is at ${position}` : `${by} is at ${position}, which is missing`);
    if (place.position > stored.position) faults.push(`${place.position - stored.position} were added after the head`);
    return { entries, head: { position: place.position, hash: place.hash }, sealed: sealed && stored.seal ? { position: sealed.position, at: stored.seal.at } : null, faults: faults.slice(0, MOST) };
  } finally {
    await reader.query('ROLLBACK');
  }
}
