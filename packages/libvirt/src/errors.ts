import type { ErrorCodeName } from './error-codes.ts';
import { ERROR_CODE } from './error-codes.ts';

/** What ended a connection. `kind` is a closed list; `message` is for people. */
export type CloseReason =
  /** close() was called on our side. */
  | { kind: 'closed'; message: string }
  /** The daemon ended the socket in good order: it stopped, or it refused us. */
  | { kind: 'ended'; message: string }
  /** The socket failed, or could not be connected at all. */
  | { kind: 'socket'; message: string; cause: Error }
  /** Too many of our pings in a row got no answer. */
  | { kind: 'keep-alive'; message: string }
  /** The daemon sent what the protocol does not allow. */
  | { kind: 'protocol'; message: string; cause: ProtocolError };

/**
 * The daemon's own answer "no": the call was received, understood and refused or failed.
 * Source of the fields: libvirt src/rpc/virnetprotocol.x, struct virNetMessageError.
 */
export class LibvirtError extends Error {
  override readonly name = 'LibvirtError';
  readonly kind = 'libvirt';
  /** The name of the procedure that failed, such as `DOMAIN_CREATE_WITH_FLAGS`. */
  readonly procedure: string;
  /** virErrorNumber; compare with {@link ERROR_CODE}. */
  readonly code: number;
  /** virErrorDomain: the part of libvirt that failed; compare with ERROR_DOMAIN. */
  readonly domain: number;
  /** virErrorLevel: 1 a warning, 2 an error. */
  readonly level: number;

  constructor(procedure: string, fault: { code: number; domain: number; level: number; message: string }) {
    super(fault.message);
    this.procedure = procedure;
    this.code = fault.code;
    this.domain = fault.domain;
    this.level = fault.level;
  }

  /** True when the code is the named one: `error.is('NO_DOMAIN')`. */
  is(name: ErrorCodeName): boolean {
    return this.code === ERROR_CODE[name];
  }
}

/**
 * The connection ended before the answer came. When `sent` is true the daemon may or may not have
 * carried the call out: read the state again before sending it again.
 */
export class ConnectionLost extends Error {
  override readonly name = 'ConnectionLost';
  readonly kind = 'connection-lost';
  readonly reason: CloseReason;
  readonly sent: boolean;

  constructor(reason: CloseReason, sent: boolean) {
    super(`The libvirt connection is gone: ${reason.message}`, 'cause' in reason ? { cause: reason.cause } : {});
    this.reason = reason;
    this.sent = sent;
  }
}

/** The daemon broke the protocol. The connection that saw it has been ended. */
export class ProtocolError extends Error {
  override readonly name = 'ProtocolError';
  readonly kind = 'protocol';
}

/**
 * No answer came in time. When `sent` is true the daemon is still at work on it, or the effect has
 * happened unseen: read the state again before sending it again.
 */
export class DeadlineExceeded extends Error {
  override readonly name = 'DeadlineExceeded';
  readonly kind = 'deadline';
  readonly procedure: string;
  readonly deadlineMs: number;
  readonly sent: boolean;

  constructor(procedure: string, deadlineMs: number, sent: boolean) {
    super(`${procedure} got no answer within ${deadlineMs} ms${sent ? '' : ' (it was never sent)'}.`);
    this.procedure = procedure;
    this.deadlineMs = deadlineMs;
    this.sent = sent;
  }
}

/** The caller's arguments cannot be put on the wire: a limit, a NUL, a malformed UUID or URI. Nothing was sent. */
export class InvalidRequest extends Error {
  override readonly name = 'InvalidRequest';
  readonly kind = 'invalid-request';
}

/** Something valid that this client does not do: a transport, or a way to authenticate. */
export class Unsupported extends Error {
  override readonly name = 'Unsupported';
  readonly kind = 'unsupported';
  readonly feature: 'transport' | 'authentication';

  constructor(feature: 'transport' | 'authentication', message: string) {
    super(message);
    this.feature = feature;
  }
}

/** Everything that this package rejects with; `kind` tells them apart. */
export type ClientError =
  | LibvirtError
  | ConnectionLost
  | ProtocolError
  | DeadlineExceeded
  | InvalidRequest
  | Unsupported;

/** True for the errors of this package, so that a `switch (error.kind)` is exhaustive. */
export function isClientError(thrown: unknown): thrown is ClientError {
  return (
    thrown instanceof LibvirtError ||
    thrown instanceof ConnectionLost ||
    thrown instanceof ProtocolError ||
    thrown instanceof DeadlineExceeded ||
    thrown instanceof InvalidRequest ||
    thrown instanceof Unsupported
  );
}
