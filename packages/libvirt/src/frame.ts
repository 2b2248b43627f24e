import { ProtocolError } from './errors.ts';
import { LIMIT } from './limits.ts';
import { XdrWriter } from './xdr.ts';

/** Programs of the protocol. Source: remote_protocol.x (REMOTE_PROGRAM), virkeepaliveprotocol.x. */
export const PROGRAM = { REMOTE: 0x20008086, KEEPALIVE: 0x6b656570 } as const;

/** Both programs have had version 1 ever since. */
export const PROGRAM_VERSION = 1;

/** virNetMessageType. Source: virnetprotocol.x. */
export const MESSAGE_TYPE = { CALL: 0, REPLY: 1, MESSAGE: 2, STREAM: 3, STREAM_HOLE: 6 } as const;

/** virNetMessageStatus. Source: virnetprotocol.x. */
export const MESSAGE_STATUS = { OK: 0, ERROR: 1, CONTINUE: 2 } as const;

/** Bytes of the length word and of virNetMessageHeader. */
export const HEADER_BYTES = 28;

/** What stands before every payload. */
export interface Header {
  readonly program: number;
  readonly version: number;
  readonly procedure: number;
  readonly type: number;
  readonly serial: number;
  readonly status: number;
}

const SERIAL_OFFSET = 20;

/** One message, ready to be sent. Throws InvalidRequest when it would break one of the protocol's limits. */
export function encodeFrame(header: Omit<Header, 'version'>, writePayload?: (writer: XdrWriter) => void): Buffer {
  const writer = new XdrWriter();
  writer.uint(0); // the length, known at the end
  writer.uint(header.program);
  writer.uint(PROGRAM_VERSION);
  writer.int(header.procedure);
  writer.uint(header.type);
  writer.uint(header.serial);
  writer.uint(header.status);
  writePayload?.(writer);
  return writer.finishMessage();
}

/** Gives an encoded call its serial, which is only known when it is sent. */
export function setSerial(frame: Buffer, serial: number): void {
  frame.writeUInt32BE(serial, SERIAL_OFFSET);
}

/** The header of a whole frame. */
export function readHeader(frame: Buffer): Header {
  return {
    program: frame.readUInt32BE(4),
    version: frame.readUInt32BE(8),
    procedure: frame.readInt32BE(12),
    type: frame.readUInt32BE(16),
    serial: frame.readUInt32BE(SERIAL_OFFSET),
    status: frame.readUInt32BE(24),
  };
}

/**
 * Cuts the byte stream into frames. A frame that came in one chunk is a view into it; one that came
 * in many is copied once, into a buffer of its own size.
 */
export class FrameReader {
  /** The frame being put together: its length word while that is incomplete, then the whole frame. */
  #partial: Buffer = Buffer.allocUnsafe(4);
  #filled = 0;
  #lengthKnown = false;

  /** True between the first and the last byte of a frame. */
  get isInsideFrame(): boolean {
    return this.#filled > 0;
  }

  /** The frames that this chunk completes, one by one. Throws ProtocolError for a length that cannot be. */
  *push(chunk: Buffer): Generator<Buffer, void, undefined> {
    let offset = 0;
    while (offset < chunk.length) {
      const available = chunk.length - offset;
      if (this.#filled === 0 && available >= 4) {
        const length = checkLength(chunk.readUInt32BE(offset));
        if (available >= length) {
          yield chunk.subarray(offset, offset + length);
          offset += length;
          continue;
        }
        this.#startFrame(length);
      }
      const copied = chunk.copy(this.#partial, this.#filled, offset);
      offset += copied;
      this.#filled += copied;
      if (this.#filled < this.#partial.length) return;
      if (this.#lengthKnown) yield this.#takeFrame();
      else this.#startFrame(checkLength(this.#partial.readUInt32BE(0)));
    }
  }

  #startFrame(length: number): void {
    const frame = Buffer.allocUnsafe(length);
    this.#partial.copy(frame, 0, 0, this.#filled);
    this.#partial = frame;
    this.#lengthKnown = true;
  }

  #takeFrame(): Buffer {
    const frame = this.#partial;
    this.#partial = Buffer.allocUnsafe(4);
    this.#filled = 0;
    this.#lengthKnown = false;
    return frame;
  }
}

function checkLength(length: number): number {
  if (length < HEADER_BYTES) throw new ProtocolError(`A message of ${length} bytes is too short for its header.`);
  if (length > LIMIT.messageBytes) {
    throw new ProtocolError(`A message of ${length} bytes is over the limit of ${LIMIT.messageBytes}.`);
  }
  return length;
}
