import { isConnectionLoss } from './connection-loss.ts';

/**
 * The one error of NovaCron's domain. Every edge maps to it once (libvirt in, Prisma in) or from it
 * once (GraphQL out, operation row out). The message is safe for the caller; the cause never leaves
 * the process.
 */
export const ERROR_CODES = [
  'UNAUTHENTICATED',
  'FORBIDDEN',
  'NOT_FOUND',
  'ALREADY_EXISTS',
  'BAD_USER_INPUT',
  'INVALID_STATE',
  'CONFLICT',
  'QUOTA_EXCEEDED',
  'NO_CAPACITY',
  'RATE_LIMITED',
  'UNAVAILABLE',
  'CURSOR_EXPIRED',
  'INTERNAL',
] as const;

export type ErrorCode = (typeof ERROR_CODES)[number];

/** Codes for which the same request, sent again later, may succeed. */
const RETRYABLE: ReadonlySet<ErrorCode> = new Set(['RATE_LIMITED', 'UNAVAILABLE']);

export interface ErrorDetails {
  /** The input at fault, as the client named it: "name", "kernel.initrd". */
  field?: string;
  /** Overrides what the code says about trying again. */
  retryable?: boolean;
  cause?: unknown;
}

/** What a DomainError looks like at rest: in an operation's row, in a queue, over the wire. */
export interface ErrorRecord {
  code: ErrorCode;
  message: string;
  field?: string;
  retryable: boolean;
}

export class DomainError extends Error {
  override readonly name = 'DomainError';
  readonly code: ErrorCode;
  readonly field: string | undefined;
  readonly retryable: boolean;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, { cause: details.cause });
    this.code = code;
    this.field = details.field;
    this.retryable = details.retryable ?? RETRYABLE.has(code);
  }

  toRecord(): ErrorRecord {
    return {
      code: this.code,
      message: this.message,
      ...(this.field === undefined ? {} : { field: this.field }),
      retryable: this.retryable,
    };
  }

  /**
   * Anything thrown becomes a DomainError. A server of ours that is away is UNAVAILABLE; what we did not foresee is
   * INTERNAL. The text of both is kept inside.
   */
  static from(thrown: unknown): DomainError {
    if (thrown instanceof DomainError) return thrown;
    if (isConnectionLoss(thrown)) return new DomainError('UNAVAILABLE', "A part of NovaCron can't be reached right now: try again.", { cause: thrown });
    return new DomainError('INTERNAL', 'Something went wrong inside NovaCron.', { cause: thrown });
  }
}
