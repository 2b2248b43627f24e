import { Duplex } from 'node:stream';
import type { CloseReason } from './errors.ts';
import { ConnectionLost, DeadlineExceeded, ProtocolError } from './errors.ts';
import { MESSAGE_STATUS } from './frame.ts';
import { LIMIT } from './limits.ts';
import { nextPiece } from './sparse.ts';

/** What a stream needs of the connection that carries it. */
export interface StreamWire {
  /** Sends one packet; `onSent` follows when the socket has taken it. */
  send(status: number, data: Uint8Array, onSent?: () => void): void;
  /** Sends a hole of so many bytes. */
  sendHole(length: number): void;
  /** Stops reading from the socket, for this stream's sake. */
  pause(): void;
  resume(): void;
}

/** What a stream is for. */
export interface StreamUse {
  /** Where the bytes go. `both` is a conversation: it ends when one side says so. A transfer ends when the daemon confirms. */
  readonly direction: 'both' | 'upload' | 'download';
  /** Zeros travel as holes. */
  readonly sparse: boolean;
}

/** Bytes kept for a reader that is behind, before the socket is paused. */
const READ_AHEAD_BYTES = 256 * 1024;

/** How long a reader may take nothing while the whole connection waits for it. Less than the 30 s after which the daemon misses its pings. */
const STALL_LIMIT_MS = 15_000;

const NO_DATA = new Uint8Array();

/** What a hole is read as, so much at a time. */
const ZEROS = Buffer.alloc(READ_AHEAD_BYTES);

/**
 * One stream of the protocol: a Duplex for the user on one side, packets on the other.
 * Source of the packets: libvirt 9.0.0 src/rpc/virnetprotocol.x, src/remote/remote_daemon_stream.c.
 */
export class StreamPort {
  /** The user's side. `end()` finishes the stream in good order, `destroy()` aborts it. */
  readonly duplex: Duplex;
  readonly use: StreamUse;
  readonly #wire: StreamWire;
  readonly #procedureName: string;
  /** The daemon has forgotten the stream: nothing more to send. */
  #isOver = false;
  /** What ended it, if that was an error. */
  #failure: Error | undefined;
  #isReadEnded: boolean;
  #isFinishSent = false;
  #onFinished: ((error?: Error) => void) | undefined;
  #stallTimer: NodeJS.Timeout | undefined;
  /** Received and not yet read: data, and the lengths of holes. */
  readonly #unread: (Buffer | number)[] = [];
  /** Written zeros of a sparse upload that are not sent yet. */
  #unsentZeros = 0;

  constructor(procedureName: string, wire: StreamWire, use: StreamUse = { direction: 'both', sparse: false }) {
    this.#procedureName = procedureName;
    this.#wire = wire;
    this.use = use;
    // An upload's empty packet is a hangup: its error follows, or the answer to our finish tells.
    this.#isReadEnded = use.direction === 'upload';
    const sides = { readable: use.direction !== 'upload', writable: use.direction !== 'download' };
    this.duplex = new Duplex({
      ...sides, // Node's types lack these two; its documentation has them
      allowHalfOpen: false, // the daemon has no half-open streams: finish ends both directions
      readableHighWaterMark: READ_AHEAD_BYTES,
      read: () => this.#deliver(),
      write: (chunk: Buffer, _encoding, done) => this.#write(chunk, done),
      final: (done) => this.#finish(done),
      destroy: (error, done) => this.#destroy(error, done),
    });
  }

  /** A data packet; an empty one says that no more will come. */
  receive(data: Buffer): void {
    if (this.#isReadEnded || this.duplex.destroyed) return;
    if (data.length > 0) this.#add(data);
    else if (this.use.direction === 'both') this.#endReading();
    else if (!this.#isFinishSent) this.#sendFinish(); // and the end is read when the daemon has confirmed it
  }

  /** A hole in what is downloaded. */
  receiveHole(length: number): void {
    if (this.use.direction !== 'download' || !this.use.sparse) throw new ProtocolError('A hole came in a stream that has none.');
    if (length < 0) throw new ProtocolError(`A hole of ${length} bytes came.`);
    if (!this.#isReadEnded && !this.duplex.destroyed && length > 0) this.#add(length);
  }

  /** The daemon confirms our finish or abort. */
  confirm(): void {
    if (this.use.direction !== 'both' && !this.#isFinishSent && !this.duplex.destroyed) {
      return this.fail(new ProtocolError(`${this.#procedureName} was ended by the daemon before we ended it.`));
    }
    this.#isOver = true;
    this.#endReading();
    this.#onFinished?.();
  }

  /** The daemon ended the stream because of an error. */
  fail(error: Error | undefined): void {
    this.#isOver = true;
    this.#failure = error;
    // One turn later: whoever opened the stream has then had its promise and put its listeners on.
    setImmediate(() => this.duplex.destroy(error));
  }

  /** The connection is gone; that is an error unless it was meant, and of a transfer it always is. */
  lose(reason: CloseReason): void {
    const isMeant = reason.kind === 'closed' && this.use.direction === 'both';
    this.fail(isMeant ? undefined : new ConnectionLost(reason, true));
  }

  /** Sends a chunk packet by packet, each when the socket has taken the one before it: what waits is not copied. */
  #write(chunk: Buffer, done: (error?: Error) => void, start = 0): void {
    if (this.#isOver) return done(this.#failure);
    if (this.duplex.destroyed || start === chunk.length) return done(); // an empty packet would mean the end
    const piece = this.use.sparse ? nextPiece(chunk, start) : { isZeros: false, end: chunk.length };
    if (piece.isZeros) {
      this.#unsentZeros += piece.end - start;
      return this.#write(chunk, done, piece.end);
    }
    this.#sendZeros();
    const end = Math.min(piece.end, start + LIMIT.streamPacketBytes);
    this.#wire.send(MESSAGE_STATUS.CONTINUE, chunk.subarray(start, end), () => this.#write(chunk, done, end));
  }

  #sendZeros(): void {
    if (this.#unsentZeros > 0) this.#wire.sendHole(this.#unsentZeros);
    this.#unsentZeros = 0;
  }

  #finish(done: (error?: Error) => void): void {
    if (this.#isOver) return done(this.#failure);
    this.#onFinished = done;
    this.#sendZeros();
    this.#sendFinish();
  }

  #sendFinish(): void {
    this.#isFinishSent = true;
    this.#wire.send(MESSAGE_STATUS.OK, NO_DATA);
  }

  #destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#unread.length = 0;
    this.#resume();
    if (!this.#isOver && !this.#isFinishSent) this.#wire.send(MESSAGE_STATUS.ERROR, NO_DATA);
    done(error);
  }

  #add(item: Buffer | number): void {
    this.#unread.push(item);
    // While the socket is paused the reader is behind, and asks by itself.
    if (!this.#stallTimer) this.#deliver();
  }

  /** Gives the reader what there is, until it has enough; then, if there is nothing left, reads on. */
  #deliver(): void {
    let wantsMore = true;
    while (wantsMore && this.#unread.length > 0) wantsMore = this.duplex.push(this.#takeUnread());
    if (this.duplex.destroyed) return;
    this.#resume(); // even if only for its timer: the reader reads
    if (!wantsMore) return this.#pause();
    if (this.#isReadEnded) this.duplex.push(null);
  }

  #takeUnread(): Buffer {
    const [first] = this.#unread;
    if (typeof first !== 'number' || first <= ZEROS.length) this.#unread.shift();
    else this.#unread[0] = first - ZEROS.length;
    return typeof first === 'number' ? ZEROS.subarray(0, first) : (first ?? ZEROS.subarray(0, 0));
  }

  #endReading(): void {
    if (this.#isReadEnded || this.duplex.destroyed) return;
    this.#isReadEnded = true;
    if (this.#unread.length === 0) this.duplex.push(null);
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
