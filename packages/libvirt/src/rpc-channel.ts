import { channel } from 'node:diagnostics_channel';
import type { Duplex } from 'node:stream';
import type { CloseReason } from './errors.ts';
import { ConnectionLost, LibvirtError, ProtocolError } from './errors.ts';
import type { Header } from './frame.ts';
import {
  encodeFrame,
  FrameReader,
  HEADER_BYTES,
  MESSAGE_STATUS,
  MESSAGE_TYPE,
  PROGRAM,
  PROGRAM_VERSION,
  readHeader,
  setSerial,
} from './frame.ts';
import type { KeepAliveOptions } from './keep-alive.ts';
import { KeepAlive } from './keep-alive.ts';
import type { Procedure } from './procedures/procedure.ts';
import type { OnResult } from './rpc-call.ts';
import { RpcCall } from './rpc-call.ts';
import type { StreamUse, StreamWire } from './stream-port.ts';
import { StreamPort } from './stream-port.ts';
import { remoteError, streamHole } from './structures.ts';
import { XdrReader } from './xdr.ts';

/** Options of every call. */
export interface CallOptions {
  /** How long the answer may take, waiting for a free slot included. */
  deadlineMs?: number;
}

/** The channel of node:diagnostics_channel on which every call is told of, as a {@link CallNotice}, in its caller's async context. */
export const CALL_CHANNEL = 'novacron.libvirt.call';

/** A call that has just been made. */
export interface CallNotice {
  /** Such as `DOMAIN_CREATE_WITH_FLAGS`. */
  readonly procedure: string;
  /** Settles with the call; it rejects with a ClientError. */
  readonly outcome: Promise<unknown>;
}

const calls = channel(CALL_CHANNEL);

/** Keep-alive's two messages. Source: libvirt 9.0.0 src/rpc/virkeepaliveprotocol.x. */
const KEEPALIVE_MESSAGE = { PING: 1, PONG: 2 } as const;

/**
 * libvirt's RPC over one connected socket: many calls at once within a limit, each with a deadline;
 * streams; the daemon's own messages; keep-alive. It ends once, with a reason; everything that waits
 * then learns of it.
 */
export class RpcChannel {
  /** Resolves with the reason when the channel has ended. */
  readonly closed: Promise<CloseReason>;
  readonly #resolveClosed: (reason: CloseReason) => void;
  readonly #socket: Duplex;
  readonly #socketClosed: Promise<void>;
  readonly #maxInFlight: number;
  readonly #defaultDeadlineMs: number;
  readonly #frames = new FrameReader();
  /** Sent and not answered, by serial. A call past its deadline stays: it still holds a slot of the daemon. */
  readonly #inFlight = new Map<number, RpcCall>();
  readonly #waiting: Set<RpcCall> = new Set(); // in order of insertion
  readonly #streams = new Map<number, StreamPort>();
  readonly #stalled = new Set<StreamPort>();
  /** The procedures by which streams are opened. */
  readonly #opening = new Set<number>();
  /** Packets of streams whose opening was not answered yet, by serial. */
  readonly #early = new Map<number, [Header, Buffer][]>();
  #onMessage: (procedure: number, reader: XdrReader) => boolean = () => false;
  #keepAlive: KeepAlive | undefined;
  #lastSerial = 0;
  #isCorked = false;
  /** Set when no more calls are taken. */
  #endReason: CloseReason | undefined;
  /** Set when the socket is given up too; in between is the goodbye of close(). */
  #isOver = false;

  constructor(socket: Duplex, options: { maxInFlight: number; defaultDeadlineMs: number }) {
    this.#socket = socket;
    this.#maxInFlight = options.maxInFlight;
    this.#defaultDeadlineMs = options.defaultDeadlineMs;
    ({ promise: this.closed, resolve: this.#resolveClosed } = Promise.withResolvers<CloseReason>());
    this.#socketClosed = new Promise((resolve) => socket.once('close', resolve));
    socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    socket.on('error', (cause) => this.end({ kind: 'socket', message: cause.message, cause }));
    socket.on('end', () => this.#endedByPeer());
    socket.on('close', () => this.#endedByPeer());
  }

  /** Sends the call when a slot is free. `onResult` also hears of a result that comes after the deadline. */
  async call<Args, Result>(
    procedure: Procedure<Args, Result>,
    args: Args,
    options?: CallOptions,
    onResult?: OnResult<Result>,
  ): Promise<Result> {
    if (this.#endReason) throw new ConnectionLost(this.#endReason, false);
    const typedCall = new RpcCall(procedure, args, options?.deadlineMs ?? this.#defaultDeadlineMs, onResult);
    const call = typedCall as unknown as RpcCall; // the queue needs no types
    this.#waiting.add(call);
    if (calls.hasSubscribers) calls.publish({ procedure: procedure.name, outcome: call.promise } satisfies CallNotice);
    this.#sendWaiting();
    try {
      return await typedCall.promise;
    } catch (error) {
      if (error instanceof Error) Error.captureStackTrace(error); // from here on: the caller, not the socket's reader
      throw error;
    } finally {
      this.#waiting.delete(call); // it is still there when its deadline passed first
    }
  }

  /** Makes a call that opens a stream; without `use`, a conversation. */
  async openStream<Args>(
    procedure: Procedure<Args, void>,
    args: Args,
    options?: CallOptions,
    use?: StreamUse,
  ): Promise<Duplex> {
    let port: StreamPort | undefined;
    this.#opening.add(procedure.number);
    await this.call(procedure, args, options, (_result, { serial, isLate }) => {
      port = this.#addStream(procedure, serial, use);
      if (isLate) port.duplex.destroy();
    });
    if (!port) throw new Error('unreachable: a call that succeeded had a result');
    return port.duplex;
  }

  /** Who gets the daemon's messages: called with the message's number, returns false when it does not know it. */
  handleMessages(onMessage: (procedure: number, reader: XdrReader) => boolean): void {
    this.#onMessage = onMessage;
  }

  /** Begins to ping; the daemon must know the keep-alive program. */
  startKeepAlive(options: KeepAliveOptions): void {
    if (this.#endReason) return;
    this.#keepAlive = new KeepAlive(
      options,
      () => {
        // While we do not read, silence says nothing about the daemon.
        if (this.#stalled.size > 0) this.#keepAlive?.heard();
        else this.#sendKeepAlive(KEEPALIVE_MESSAGE.PING);
      },
      () => this.end({ kind: 'keep-alive', message: `the daemon left ${options.count} pings unanswered` }),
    );
  }

  /** Says goodbye with the given procedure, then ends. Whatever waits is told at once. */
  async close(goodbye: Procedure<void, void>, deadlineMs: number): Promise<void> {
    if (!this.#endReason) {
      this.#endReason = { kind: 'closed', message: 'it was closed on our side' };
      this.#loseCalls(this.#endReason);
      const call = new RpcCall(goodbye, undefined, deadlineMs);
      this.#sendCall(call as unknown as RpcCall); // beyond maxInFlight: what is in flight may never be answered
      await call.promise.catch(() => undefined); // however the goodbye ends, the socket is closed next
      this.end(this.#endReason);
    }
    await this.#socketClosed;
  }

  /** Ends the channel now; the first reason stays. */
  end(reason: CloseReason): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#endReason ??= reason;
    this.#keepAlive?.stop();
    this.#socket.destroy();
    this.#loseCalls(this.#endReason);
    for (const port of this.#streams.values()) port.lose(this.#endReason);
    this.#resolveClosed(this.#endReason);
  }

  #loseCalls(reason: CloseReason): void {
    for (const call of this.#inFlight.values()) call.lose(reason);
    for (const call of this.#waiting) call.lose(reason);
  }

  #endedByPeer(): void {
    const where = this.#frames.isInsideFrame ? 'the daemon ended it in the middle of a message' : 'the daemon ended it';
    this.end({ kind: 'ended', message: where });
  }

  #sendWaiting(): void {
    for (const call of this.#waiting) {
      if (this.#inFlight.size >= this.#maxInFlight || this.#endReason) return;
      this.#waiting.delete(call);
      if (!call.isSettled) this.#sendCall(call);
    }
  }

  #sendCall(call: RpcCall): void {
    // Serials wrap around; 0 belongs to messages, and one may still be held by a very slow call.
    do this.#lastSerial = (this.#lastSerial + 1) >>> 0;
    while (this.#lastSerial === 0 || this.#inFlight.has(this.#lastSerial) || this.#streams.has(this.#lastSerial));
    call.serial = this.#lastSerial;
    setSerial(call.frame, call.serial);
    this.#inFlight.set(call.serial, call);
    this.#write(call.frame);
  }

  #sendKeepAlive(procedure: number): void {
    const { MESSAGE: type } = MESSAGE_TYPE;
    this.#write(encodeFrame({ program: PROGRAM.KEEPALIVE, procedure, type, serial: 0, status: MESSAGE_STATUS.OK }));
  }

  /** All that is written in one turn of the event loop leaves in one system call. */
  #write(frame: Buffer, onSent?: () => void): void {
    if (this.#isOver) return;
    if (!this.#isCorked) {
      this.#isCorked = true;
      this.#socket.cork();
      process.nextTick(() => {
        this.#isCorked = false;
        this.#socket.uncork();
      });
    }
    // A failed write is followed by the socket's 'error', which ends everything.
    this.#socket.write(frame, onSent && ((error) => (error ? undefined : onSent())));
  }

  #receive(chunk: Buffer): void {
    this.#keepAlive?.heard();
    try {
      for (const frame of this.#frames.push(chunk)) {
        this.#dispatch(readHeader(frame), frame);
        if (this.#isOver) return;
      }
    } catch (thrown) {
      const cause = thrown instanceof ProtocolError ? thrown : new ProtocolError('A message could not be read.', { cause: thrown });
      this.end({ kind: 'protocol', message: cause.message, cause });
    }
    this.#sendWaiting();
  }

  #dispatch(header: Header, frame: Buffer): void {
    if (header.version !== PROGRAM_VERSION) throw new ProtocolError(`Version ${header.version} of a program is unknown.`);
    if (header.program === PROGRAM.KEEPALIVE) return this.#dispatchKeepAlive(header, frame);
    if (header.program !== PROGRAM.REMOTE) throw new ProtocolError(`Program 0x${header.program.toString(16)} is unknown.`);
    switch (header.type) {
      case MESSAGE_TYPE.REPLY: return this.#dispatchReply(header, new XdrReader(frame, HEADER_BYTES));
      case MESSAGE_TYPE.STREAM:
      case MESSAGE_TYPE.STREAM_HOLE: return this.#dispatchStream(header, frame);
      case MESSAGE_TYPE.MESSAGE: return this.#dispatchMessage(header, new XdrReader(frame, HEADER_BYTES));
      default: throw new ProtocolError(`A daemon does not send messages of type ${header.type}.`);
    }
  }

  #dispatchKeepAlive({ type, procedure }: Header, frame: Buffer): void {
    const { PING, PONG } = KEEPALIVE_MESSAGE;
    if (type !== MESSAGE_TYPE.MESSAGE || (procedure !== PING && procedure !== PONG) || frame.length > HEADER_BYTES) {
      throw new ProtocolError('A keep-alive message is neither a ping nor a pong.');
    }
    if (procedure === PING) this.#sendKeepAlive(PONG);
  }

  #dispatchReply({ serial, status, procedure }: Header, reader: XdrReader): void {
    const call = this.#inFlight.get(serial);
    if (!call) throw new ProtocolError(`An answer came for serial ${serial}, which no call has.`);
    this.#inFlight.delete(serial);
    const early = this.#early.get(serial) ?? [];
    this.#early.delete(serial);
    try {
      if (procedure !== call.procedure.number) {
        throw new ProtocolError(`${call.procedure.name} got the answer of procedure ${procedure}.`);
      }
      if (status === MESSAGE_STATUS.OK) call.succeed(reader);
      else if (status === MESSAGE_STATUS.ERROR) call.fail(readError(call.procedure.name, reader));
      else throw new ProtocolError(`${call.procedure.name} got an answer with status ${status}.`);
    } catch (error) {
      if (error instanceof ProtocolError) call.fail(error);
      throw error;
    }
    for (const [header, frame] of early) this.#dispatchStream(header, frame);
  }

  #dispatchMessage({ procedure, status }: Header, reader: XdrReader): void {
    // virnetprotocol.x promises serial 0 for these; the daemon sends 1 (remote_daemon_dispatch.c, remoteDispatchObjectEventSend).
    if (status !== MESSAGE_STATUS.OK || !this.#onMessage(procedure, reader)) {
      throw new ProtocolError(`The message ${procedure} (status ${status}) was not asked for.`);
    }
    reader.end();
  }

  #addStream(procedure: { name: string; number: number }, serial: number, use?: StreamUse): StreamPort {
    const { STREAM, STREAM_HOLE } = MESSAGE_TYPE;
    const header = { program: PROGRAM.REMOTE, procedure: procedure.number, serial };
    const wire: StreamWire = {
      send: (status, data, onSent) => {
        this.#write(encodeFrame({ ...header, type: STREAM, status }, (writer) => writer.raw(data)), onSent);
      },
      sendHole: (length) => {
        const { CONTINUE: status } = MESSAGE_STATUS;
        const hole = { length, flags: 0 };
        this.#write(encodeFrame({ ...header, type: STREAM_HOLE, status }, (writer) => streamHole.write(writer, hole)));
      },
      pause: () => {
        this.#stalled.add(port);
        this.#socket.pause();
      },
      resume: () => {
        this.#stalled.delete(port);
        if (this.#stalled.size === 0) this.#socket.resume();
      },
    };
    const port = new StreamPort(procedure.name, wire, use);
    this.#streams.set(serial, port);
    return port;
  }

  #dispatchStream(header: Header, frame: Buffer): void {
    const { serial, status, procedure, type } = header;
    const port = this.#streams.get(serial);
    if (!port) {
      // One thread of the daemon answers the call, another sends what there is to read: the second may be faster
      // (libvirt 9.0.0 src/remote/remote_daemon_stream.c, daemonAddClientStream; seen).
      if (this.#inFlight.get(serial)?.procedure.number === procedure && this.#opening.has(procedure)) {
        const early = this.#early.get(serial) ?? [];
        early.push([header, frame]);
        this.#early.set(serial, early);
        return;
      }
      // Packets may cross our abort on the way, and outlive their stream.
      const isNone = serial === 0 || serial > this.#lastSerial || this.#inFlight.has(serial);
      if (isNone) throw new ProtocolError(`Serial ${serial} was never a stream.`);
      return;
    }
    const reader = new XdrReader(frame, HEADER_BYTES);
    if (type === MESSAGE_TYPE.STREAM_HOLE) {
      port.receiveHole(streamHole.read(reader).length);
      return reader.end();
    }
    if (status === MESSAGE_STATUS.CONTINUE) return port.receive(frame.subarray(HEADER_BYTES));
    this.#streams.delete(serial);
    if (status === MESSAGE_STATUS.OK) port.confirm();
    else if (status === MESSAGE_STATUS.ERROR) port.fail(readError(`stream of procedure ${procedure}`, reader));
    else throw new ProtocolError(`A stream packet has the status ${status}.`);
    reader.end();
  }
}

function readError(procedure: string, reader: XdrReader): LibvirtError {
  const { code, domain, level, message } = remoteError.read(reader);
  reader.end();
  return new LibvirtError(procedure, { code, domain, level, message: message ?? `libvirt error ${code}` });
}
