import type pg from 'pg';
import type { ChainedRow } from './chain.ts';

/** What reads the log: a client of pg. */
export type Reader = Pick<pg.ClientBase, 'query'>;

interface Row {
  position: string;
  id: string;
  at: string;
  user_id: string | null;
  tenant_id: string | null;
  action: string;
  outcome: string;
  target_id: string | null;
  request_id: string | null;
  content: string;
  hash: Buffer;
}

const COLUMNS = `position, id, to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS at, user_id, tenant_id, action, outcome, target_id, request_id, content, hash`;

/** The next rows after a position, in their order. */
export async function readLog(reader: Reader, after: number, limit: number): Promise<ChainedRow[]> {
  const { rows } = await reader.query<Row>(`SELECT ${COLUMNS} FROM operations.audit_log WHERE position > $1 ORDER BY position LIMIT $2`, [after, limit]);
  return rows.map(({ position, content, hash, id, at, action, outcome, ...row }) => ({
    position: Number(position),
    content,
    hash,
    columns: { id, at, action, outcome, userId: row.user_id, tenantId: row.tenant_id, targetId: row.target_id, requestId: row.request_id },
  }));
}

/** Every row after a position, a batch at a time. */
export async function* followLog(reader: Reader, after: number): AsyncGenerator<ChainedRow> {
  const BATCH = 1_000;
  for (let position = after; ; ) {
    const rows = await readLog(reader, position, BATCH);
    yield* rows;
    const last = rows.at(-1);
    if (last === undefined || rows.length < BATCH) return;
    position = last.position;
  }
}

export interface StoredHead {
  position: number;
  hash: Buffer;
  /** How far it had come when it was last sealed, and under which key. */
  seal: { sealed: Buffer; keyId: string; at: Date } | null;
}

export async function readHead(reader: Reader): Promise<StoredHead> {
  const { rows } = await reader.query<{ position: string; hash: Buffer; sealed: Buffer | null; sealed_key_id: string; sealed_at: Date }>(
    'SELECT position, hash, sealed, sealed_key_id, sealed_at FROM operations.audit_head',
  );
  const [row, ...others] = rows;
  if (row === undefined || others.length > 0) throw new Error('The audit log has no head.');
  const seal = row.sealed === null ? null : { sealed: row.sealed, keyId: row.sealed_key_id, at: row.sealed_at };
  return { position: Number(row.position), hash: row.hash, seal };
}
