import { Duplex } from 'node:stream';
import type { CloseReason } from './errors.ts';
import { ConnectionLost, DeadlineExceeded } from './errors.ts';
import { MESSAGE_STATUS } from './frame.ts';
import { LIMIT } from './limits.ts';

/** What a stream needs of the connection that carries it. */
export interface StreamWire {
  /** Sends one packet; `onSent` follows when the socket has taken it. */
  send(status: number, data: Uint8Array, onSent?: () => void): void;
  /** Stops reading from the socket, for this stream's sake. */
  pause(): void;
  resume(): void;
}

/** Bytes kept for a reader that is behind, before the socket is paused. */
const READ_AHEAD_BYTES = 256 * 1024;

/** How long a reader may take nothing while the whole connection waits for it. Less than the 30 s after which the daemon misses its pings. */
const STALL_LIMIT_MS = 15_000;

const NO_DATA = new Uint8Array();

/**
 * One stream of the protocol: a Duplex for the user on one side, packets on the other.
 * Source of the packets: libvirt 9.0.0 src/rpc/virnetprotocol.x, src/remote/remote_daemon_stream.c.
 */
export class StreamPort {
  /** The user's side. `end()` finishes the stream in good order, `destroy()` aborts it. */
  readonly duplex: Duplex;
  readonly #wire: StreamWire;
  readonly #procedureName: string;
  /** The daemon has forgotten the stream: nothing more to send. */
  #isOver = false;
  #isReadEnded = false;
  #onFinished: ((error?: Error) => void) | undefined;
  #stallTimer: NodeJS.Timeout | undefined;

  constructor(procedureName: string, wire: StreamWire) {
    this.#procedureName = procedureName;
    this.#wire = wire;
    this.duplex = new Duplex({
      allowHalfOpen: false, // the daemon has no half-open streams: finish ends both directions
      readableHighWaterMark: READ_AHEAD_BYTES,
      read: () => this.#resume(),
      write: (chunk: Buffer, _encoding, done) => this.#write(chunk, done),
      final: (done) => this.#finish(done),
      destroy: (error, done) => this.#destroy(error, done),
    });
  }

  /** A data packet; an empty one says that no more will come. */
  receive(data: Buffer): void {
    if (this.#isReadEnded || this.duplex.destroyed) return;
    if (data.length === 0) {
      this.#endReading();
    } else if (!this.duplex.push(data)) {
      this.#pause();
    }
  }

  /** The daemon confirms our finish or abort. */
  confirm(): void {
    this.#isOver = true;
    this.#endReading();
    this.#onFinished?.();
  }

  /** The daemon ended the stream because of an error. */
  fail(error: Error | undefined): void {
    this.#isOver = true;
    // One turn later: whoever opened the stream has then had its promise and put its listeners on.
    setImmediate(() => this.duplex.destroy(error));
  }

  /** The connection is gone; that is an error unless it was meant. */
  lose(reason: CloseReason): void {
    this.fail(reason.kind === 'closed' ? undefined : new ConnectionLost(reason, true));
  }

  #write(chunk: Buffer, done: () => void): void {
    if (this.#isOver) return done();
    let start = 0;
    for (; start + LIMIT.streamPacketBytes < chunk.length; start += LIMIT.streamPacketBytes) {
      this.#wire.send(MESSAGE_STATUS.CONTINUE, chunk.subarray(start, start + LIMIT.streamPacketBytes));
    }
    // An empty packet would mean the end.
    if (chunk.length === 0) done();
    else this.#wire.send(MESSAGE_STATUS.CONTINUE, chunk.subarray(start), done);
  }

  #finish(done: (error?: Error) => void): void {
    if (this.#isOver) return done();
    this.#onFinished = done;
    this.#wire.send(MESSAGE_STATUS.OK, NO_DATA);
  }

  #destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#resume();
    if (!this.#isOver && !this.#onFinished) this.#wire.send(MESSAGE_STATUS.ERROR, NO_DATA);
    done(error);
  }

  #endReading(): void {
    if (this.#isReadEnded || this.duplex.destroyed) return;
    this.#isReadEnded = true;
    this.duplex.push(null);
  }

  #pause(): void {
    if (this.#stallTimer) return;
    this.#wire.pause();
    this.#stallTimer = setTimeout(() => {
      this.duplex.destroy(new DeadlineExceeded(`Reading the stream of ${this.#procedureName}`, STALL_LIMIT_MS, true));
    }, STALL_LIMIT_MS);
  }

  #resume(): void {
    if (!this.#stallTimer) return;
    clearTimeout(this.#stallTimer);
    this.#stallTimer = undefined;
    this.#wire.resume();
  }
}
