import { DomainError } from '@novacron/core';
import { PrismaClientKnownRequestError } from '@prisma/client/runtime/client';

/** A service's own Prisma client. */
interface Client<Tx> {
  $transaction<Result>(work: (tx: Tx) => Promise<Result>, options: { maxWait: number; timeout: number }): Promise<Result>;
}

/** A transaction that may wait, and take, longer than Prisma's two and five seconds: a busy host is no reason to undo. */
export const inTransaction = <Tx, Result>(client: Client<Tx>, work: (tx: Tx) => Promise<Result>): Promise<Result> =>
  client.$transaction(work, { maxWait: 5_000, timeout: 15_000 });

/** Has a unique index refused it? */
export const isDuplicate = (error: unknown): error is PrismaClientKnownRequestError => error instanceof PrismaClientKnownRequestError && error.code === 'P2002';

/** A duplicate as ALREADY_EXISTS, with the field that is taken; any other error as it came. */
export const orTaken = (error: unknown, field: string, message: string): unknown =>
  isDuplicate(error) ? new DomainError('ALREADY_EXISTS', message, { field, cause: error }) : error;
