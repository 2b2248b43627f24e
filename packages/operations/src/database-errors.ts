import { DomainError, ERROR_CODES, isConnectionLoss, type ErrorCode } from '@novacron/core';

/** The worker that records no longer holds its step: another has taken it over, and its work counts for nothing. */
export class StaleClaim extends Error {
  override readonly name = 'StaleClaim';
}

interface PostgresFault {
  code: string;
  message: string;
  detail?: string;
}

/** Digs out what PostgreSQL said: from pg directly, or from Prisma's wrapping of a failed raw query. */
function postgresFault(error: unknown): PostgresFault | null {
  for (let at: unknown = error, depth = 0; at instanceof Object && depth < 6; depth += 1) {
    const fault = at as { code?: unknown; originalCode?: unknown; originalMessage?: unknown; message?: unknown; detail?: unknown; cause?: unknown; meta?: { driverAdapterError?: unknown } };
    const code = fault.originalCode ?? fault.code;
    if (typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code) && !/^P\d{4}$/.test(code)) {
      return {
        code,
        message: String(fault.originalMessage ?? fault.message ?? ''),
        ...(typeof fault.detail === 'string' ? { detail: fault.detail } : {}),
      };
    }
    at = fault.meta?.driverAdapterError ?? fault.cause;
  }
  return null;
}

/** What the kernel's functions raise, and a database that is away, as errors of the domain; anything else as it came. */
export function fromDatabase(error: unknown): unknown {
  const fault = postgresFault(error);
  if (fault?.code === 'NC001') return new StaleClaim(fault.message, { cause: error });
  if (fault?.code !== 'NC000') return isConnectionLoss(error) ? DomainError.from(error) : error;
  const { field, retryable, ...detail } = JSON.parse(fault.detail ?? '{}') as { code?: string; field?: string; retryable?: boolean };
  const code = ERROR_CODES.find((known) => known === detail.code) ?? ('INTERNAL' satisfies ErrorCode);
  return new DomainError(code, fault.message, { cause: error, ...(field === undefined ? {} : { field }), ...(retryable === undefined ? {} : { retryable }) });
}

/** SQLSTATEs of a transaction that lost against another, and Prisma's for one that had to wait too long. */
const PASSING = /^(40001|40P01|55P03|P2028|P2034)$/;

/** A fault of the database that goes away by itself: the same transaction may work the next time. */
export function isPassing(error: unknown): boolean {
  if (isConnectionLoss(error) || (error instanceof DomainError && error.code === 'UNAVAILABLE')) return true;
  const code = error instanceof Object && 'code' in error ? error.code : postgresFault(error)?.code;
  return typeof code === 'string' && (PASSING.test(code) || PASSING.test(postgresFault(error)?.code ?? ''));
}

/** Runs a piece of work on the database, with its refusals as errors of the domain. */
export async function mapped<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    throw fromDatabase(error);
  }
}
