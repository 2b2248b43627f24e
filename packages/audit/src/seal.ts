import { postgresPool } from '@novacron/database';
import type { Secrets } from '@novacron/secrets';
import type pg from 'pg';
import type { Logger } from 'pino';
import { BEGINNING, faultAfter, type Place } from './chain.ts';
import { followLog, readHead, type StoredHead } from './log.ts';

/** What a seal is bound to, besides the key. */
export const SEAL_CONTEXT = 'audit:head';

/** Where the chain was when it was sealed; null when the seal is not one that this key has made. */
export function openSeal(secrets: Secrets, { sealed, keyId }: NonNullable<StoredHead['seal']>): Place | null {
  try {
    const { position, hash } = JSON.parse(Buffer.from(secrets.open({ sealed: Buffer.from(sealed), keyId }, SEAL_CONTEXT)).toString()) as { position: number; hash: string };
    return { position, hash: Buffer.from(hash, 'hex') };
  } catch {
    return null;
  }
}

export interface SealOptions {
  /** Logged in as identity. */
  pool: pg.Pool;
  secrets: Secrets;
  logger: Logger;
  isFirst?: boolean;
}

/**
 * Looks at what was chained since the last time, and seals where the chain is now. Where that is not whole, or the seal of before does
 * not fit or is gone, nothing is sealed: an error is logged, each time. `isFirst`: a log that was never sealed may have entries already.
 */
export async function sealAudit({ pool, secrets, logger, isFirst = false }: SealOptions): Promise<void> {
  const head = await readHead(pool);
  const fault = await faultBefore(head);
  if (fault !== null) return logger.error({ fault }, 'the audit log is not what it was: see npm run audit:verify');
  if (head.seal !== null && openSeal(secrets, head.seal)?.position === head.position) return;
  const hash = head.hash.toString('hex');
  const { sealed, keyId } = secrets.seal(Buffer.from(JSON.stringify({ position: head.position, hash })), SEAL_CONTEXT);
  await pool.query('SELECT operations.seal_audit($1, $2)', [sealed, keyId]);
  logger.info({ position: head.position, hash }, 'audit log sealed');

  async function faultBefore({ seal, position }: StoredHead): Promise<string | null> {
    if (seal === null) return position === 0 || isFirst ? faultSince(pool, BEGINNING, head) : 'the seal is missing';
    const before = openSeal(secrets, seal);
    return before === null ? 'the seal can not be opened' : faultSince(pool, before, head);
  }
}

async function faultSince(pool: pg.Pool, before: Place, head: Place): Promise<string | null> {
  if (head.position < before.position) return `everything after ${head.position} is missing`;
  // the sealed row itself, too: what was cut off may have grown again
  let place: Place = before;
  if (before.position > 0) {
    const { rows } = await pool.query<{ hash: Buffer }>('SELECT hash FROM operations.audit_log WHERE position = $1', [before.position]);
    if (!rows[0]?.hash.equals(before.hash)) return `${before.position} is not what was sealed`;
  }
  for await (const row of followLog(pool, before.position)) {
    if (row.position > head.position) break; // chained meanwhile
    const fault = faultAfter(place, row);
    if (fault !== null) return fault;
    place = row;
  }
  if (place.position !== head.position) return `everything after ${place.position} is missing`;
  return place.hash.equals(head.hash) ? null : 'the head is not that of the last entry';
}

export interface AuditSealOptions {
  /** The owner's URL, or the one of identity's own role. */
  databaseUrl: string;
  secrets: Secrets;
  logger: Logger;
  /** Between two looks: half a minute. What is cut off the end within this time is not missed. */
  intervalMs?: number;
}

/** Seals the audit log from time to time. Any number may do so. */
export function startAuditSeal({ databaseUrl, secrets, logger, intervalMs = 30_000 }: AuditSealOptions): { close(): Promise<void> } {
  const pool = postgresPool(databaseUrl, 'identity', 1);
  const look = () => sealAudit({ pool, secrets, logger }).catch((error: unknown) => logger.warn({ err: error }, 'the audit log could not be sealed; trying again'));
  let looking = look();
  const timer = setInterval(() => {
    looking = looking.then(look);
  }, intervalMs);
  return {
    async close() {
      clearInterval(timer);
      await looking;
      await pool.end();
    },
  };
}
