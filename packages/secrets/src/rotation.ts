import { setTimeout as delay } from 'node:timers/promises';
import { DomainError } from '@novacron/core';
import type pg from 'pg';
import { keysOfFile } from './key-ring.ts';
import { announcedFile, announceKey, dropKeys, promoteKey } from './master-key.ts';
import { SEALED_COLUMNS, type SealedColumn } from './sealed-columns.ts';
import { secretsFrom, type Secrets } from './secrets.ts';

/**
 * Puts another master key in the place of the one that there is, while everything runs:
 *
 * announce  makes the new key, beside the old one; from now on both open.
 * reseal    lets the new one seal, and seals again what the old one has sealed, in batches.
 * finish    does that once more after a while, for whoever was just sealing, and drops the old key when nothing is left of it.
 *
 * Each of them, ended anywhere, is begun again without harm: where it was is written in the files and in the rows. One after the other
 * they are the whole; apart they are for installations whose machines have copies of the file, made between the steps.
 */
export const ROTATION_STEPS = ['announce', 'reseal', 'finish'] as const;
export type RotationStep = (typeof ROTATION_STEPS)[number];

export interface RotationOptions {
  masterKeyFile: string;
  /** Of the database's owner. */
  pool: pg.Pool;
  steps?: readonly RotationStep[];
  /** How long somebody may take from sealing something to its commit. */
  graceMs?: number;
  /** How long to wait for another one to end, such as one that was killed just now. */
  lockWaitMs?: number;
  /** Told of all that was done, one line each; waited for. */
  onProgress?(line: string): void | Promise<void>;
}

type Progress = Required<RotationOptions>['onProgress'];

const GRACE_MS = 30_000;
const LOCK_WAIT_MS = 10_000;
/** https://www.postgresql.org/docs/18/errcodes-appendix.html */
const LOCK_NOT_AVAILABLE = '55P03';
const BATCH = 200;
/** Whoever seals with the old key after so many rounds does not see the file. */
const ROUNDS = 5;
/** 'novacron', as far as an advisory lock's number goes. */
const LOCK = 0x6e6f7661;

/**
 * CONFLICT while another one is under way; INVALID_STATE when something can't be opened, or when somebody goes on sealing with the old
 * key: it is kept, then.
 */
export async function rotateMasterKey({ masterKeyFile: file, pool, steps = ROTATION_STEPS, graceMs = GRACE_MS, lockWaitMs = LOCK_WAIT_MS, onProgress = () => undefined }: RotationOptions): Promise<void> {
  await withLock(pool, lockWaitMs, async () => {
    if (steps.includes('announce')) {
      await announceKey(file);
      const { byId } = keysOfFile(file).now();
      await onProgress(`${byId.size} keys open: ${[...byId.keys()].join(', ')}`);
    }
    if (!steps.includes('reseal') && !steps.includes('finish')) return;
    await promoteKey(file);
    const keys = keysOfFile(file);
    const secrets = secretsFrom(keys);
    await onProgress(`${secrets.keyId} seals`);
    await resealAll(pool, secrets, onProgress);
    if (!steps.includes('finish')) return;
    for (let round = 1; ; round += 1) {
      await delay(graceMs);
      if ((await resealAll(pool, secrets, onProgress)) === 0) break;
      if (round === ROUNDS) {
        throw new DomainError('INVALID_STATE', `Something was still sealed with an old key: has every machine the ${file} of now, and no ${announcedFile(file)}? The old key is kept.`);
      }
    }
    await dropKeys(file);
    await onProgress(`${secrets.keyId} is the only key`);
  });
}

/** One at a time, wherever they are started; the lock goes with the connection, soon after its process has ended in whatever way. */
async function withLock(pool: pg.Pool, waitMs: number, work: () => Promise<void>): Promise<void> {
  const client = await pool.connect();
  try {
    await client.query("SELECT set_config('lock_timeout', $1, false)", [`${waitMs}ms`]);
    await client.query('SELECT pg_advisory_lock($1)', [LOCK]).catch((cause: unknown) => {
      if ((cause as pg.DatabaseError).code !== LOCK_NOT_AVAILABLE) throw cause; // pg rejects with nothing else, or with what has no code
      throw new DomainError('CONFLICT', 'The master key is being changed already.', { cause });
    });
    await work();
  } finally {
    client.release(true);
  }
}

/** @returns how many there were to be sealed again */
async function resealAll(pool: pg.Pool, secrets: Secrets, onProgress: Progress): Promise<number> {
  let count = 0;
  let closed = 0;
  for (const column of SEALED_COLUMNS) {
    const done = await resealColumn(pool, secrets, column, onProgress);
    count += done.count;
    closed += done.closed.length;
    if (done.closed.length > 0) await onProgress(`${column.table}: no key opens ${done.closed.join(', ')}`);
  }
  if (closed > 0) throw new DomainError('INVALID_STATE', `No key opens ${closed} of the secrets: bring back the key that they were sealed with. No key was dropped.`);
  return count;
}

interface Row {
  id: string;
  sealed: Buffer<ArrayBuffer>;
  keyId: string | null;
}

async function resealColumn(pool: pg.Pool, secrets: Secrets, { table, id, sealed, keyId, contextOf, bareContextOf }: SealedColumn, onProgress: Progress) {
  const closed: string[] = [];
  let count = 0;
  let after: string | null = null;
  for (;;) {
    // mails that were sent are empty; of two versions, the first one is sealed with the master key itself
    const { rows }: pg.QueryResult<Row> = await pool.query<Row>(
      `SELECT ${id}::text AS id, ${sealed} AS sealed, ${keyId} AS "keyId" FROM ${table}
       WHERE length(${sealed}) > 0 AND (${keyId} IS DISTINCT FROM $1 OR get_byte(${sealed}, 0) = 1) AND ($2::text IS NULL OR ${id}::text > $2) ORDER BY ${id}::text LIMIT ${BATCH}`,
      [secrets.keyId, after],
    );
    for (const row of rows) {
      const again = resealRow(row);
      if (again === null) closed.push(row.id);
      // whoever has changed it meanwhile has sealed it with a key of its own: the next look is for that
      else await pool.query(`UPDATE ${table} SET ${sealed} = $2, ${keyId} = $3 WHERE ${id}::text = $1 AND ${sealed} = $4`, [row.id, again.sealed, again.keyId, row.sealed]);
    }
    count += rows.length;
    if (rows.length > 0) await onProgress(`${table}: ${count} sealed again`);
    after = rows.at(-1)?.id ?? null;
    if (rows.length < BATCH) return { count, closed };
  }

  function resealRow({ id: rowId, sealed: box, keyId: sealedWith }: Row) {
    try {
      if (sealedWith !== null) return secrets.reseal({ sealed: box, keyId: sealedWith }, contextOf(rowId));
      const plaintext = secrets.openBare(box, (bareContextOf ?? contextOf)(rowId));
      const again = secrets.seal(plaintext, contextOf(rowId));
      plaintext.fill(0);
      return again;
    } catch {
      return null;
    }
  }
}
