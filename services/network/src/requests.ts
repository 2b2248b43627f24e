import type { AcceptedOperation } from '@novacron/operations';
import type { Tx } from './database.ts';

/** What a mutation answers: the row as it has left it. */
export interface Accepted<Row> extends AcceptedOperation {
  row: Row;
}

/** Locks out, until the transaction ends, whoever decides about the same. */
export const lockOut = (tx: Tx, what: string): Promise<unknown> => tx.$queryRaw`SELECT pg_advisory_xact_lock(hashtext(${`network.${what}`}))::text`;
