import { ConnectionLost, DeadlineExceeded } from './errors.ts';
import type { ClientError, CloseReason } from './errors.ts';
import { encodeFrame, MESSAGE_STATUS, MESSAGE_TYPE, PROGRAM } from './frame.ts';
import type { Procedure } from './procedures/procedure.ts';
import type { XdrReader } from './xdr.ts';

/** 24 days; Node takes longer timers for 1 ms. Source: https://nodejs.org/api/timers.html#settimeoutcallback-delay-args */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** What a call's result brings along: the serial that a stream goes by, and whether the caller had given up. */
export interface ResultContext {
  readonly serial: number;
  readonly isLate: boolean;
}

/** Runs in the moment a result arrives, before anything that the daemon sent after it is read. */
export type OnResult<Result> = (result: Result, context: ResultContext) => void;

/** One call, from the moment it is made to the moment its answer arrives, however late that is. */
export class RpcCall<Args = unknown, Result = unknown> {
  readonly procedure: Procedure<Args, Result>;
  readonly frame: Buffer;
  readonly promise: Promise<Result>;
  /** 0 until the call is sent. */
  serial = 0;
  /** The caller has its outcome. The daemon may still be at work. */
  isSettled = false;
  readonly #outcome = Promise.withResolvers<Result>();
  readonly #timer: NodeJS.Timeout;
  readonly #onResult: OnResult<Result> | undefined;

  constructor(procedure: Procedure<Args, Result>, args: Args, deadlineMs: number, onResult?: OnResult<Result>) {
    this.procedure = procedure;
    this.frame = encodeFrame(
      {
        program: PROGRAM.REMOTE,
        procedure: procedure.number,
        type: MESSAGE_TYPE.CALL,
        serial: 0,
        status: MESSAGE_STATUS.OK,
      },
      (writer) => procedure.args.write(writer, args),
    );
    this.promise = this.#outcome.promise;
    this.#onResult = onResult;
    this.#timer = setTimeout(() => {
      this.fail(new DeadlineExceeded(procedure.name, deadlineMs, this.serial !== 0));
    }, Math.min(deadlineMs, LONGEST_TIMER_MS));
  }

  /** Takes the result out of the answer. Throws ProtocolError when it is not one. */
  succeed(reader: XdrReader): void {
    const result = this.procedure.result.read(reader);
    reader.end();
    this.#onResult?.(result, { serial: this.serial, isLate: this.isSettled });
    if (this.isSettled) return;
    this.#settle();
    this.#outcome.resolve(result);
  }

  fail(error: ClientError): void {
    if (this.isSettled) return;
    this.#settle();
    this.#outcome.reject(error);
  }

  lose(reason: CloseReason): void {
    this.fail(new ConnectionLost(reason, this.serial !== 0));
  }

  #settle(): void {
    this.isSettled = true;
    clearTimeout(this.#timer);
  }
}
