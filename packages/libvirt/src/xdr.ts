import { InvalidRequest, ProtocolError } from './errors.ts';
import { LIMIT } from './limits.ts';

/** Bytes of padding after `length` bytes of opaque data (RFC 4506, section 3). */
const padding = (length: number): number => (4 - (length % 4)) % 4;

/** Reads XDR (RFC 4506) out of one message; anything that cannot be is a ProtocolError. */
export class XdrReader {
  readonly #bytes: Buffer;
  #offset: number;

  constructor(bytes: Buffer, offset = 0) {
    this.#bytes = bytes;
    this.#offset = offset;
  }

  /** Bytes not read yet. */
  get remaining(): number {
    return this.#bytes.length - this.#offset;
  }

  int(): number {
    return this.#bytes.readInt32BE(this.#take(4));
  }

  uint(): number {
    return this.#bytes.readUInt32BE(this.#take(4));
  }

  hyper(): bigint {
    return this.#bytes.readBigInt64BE(this.#take(8));
  }

  uhyper(): bigint {
    return this.#bytes.readBigUInt64BE(this.#take(8));
  }

  double(): number {
    return this.#bytes.readDoubleBE(this.#take(8));
  }

  /** A view into the message, not a copy: take what is needed before the next one is read. */
  opaque(length: number): Buffer {
    const start = this.#take(length + padding(length));
    return this.#bytes.subarray(start, start + length);
  }

  /**
   * A counted string. Bytes that are not UTF-8 become U+FFFD: libvirt passes on what guests, host
   * tools and file names say, and one odd byte there must not cost the connection.
   */
  string(maxBytes: number): string {
    const length = this.uint();
    if (length > maxBytes) throw new ProtocolError(`A string of ${length} bytes is over the limit of ${maxBytes}.`);
    const start = this.#take(length + padding(length));
    return this.#bytes.toString('utf8', start, start + length);
  }

  /** Every byte of a message has a meaning; what is left over means that we misread the rest. */
  end(): void {
    if (this.remaining > 0) throw new ProtocolError(`${this.remaining} bytes are left over at the end of a message.`);
  }

  #take(length: number): number {
    const start = this.#offset;
    if (length > this.#bytes.length - start) {
      throw new ProtocolError(`A message ends early: ${length} bytes wanted, ${this.remaining} left.`);
    }
    this.#offset = start + length;
    return start;
  }
}

/** Writes XDR into a buffer that grows; a message over the protocol's limit is an InvalidRequest. */
export class XdrWriter {
  #bytes: Buffer = Buffer.allocUnsafe(512);
  #length = 0;

  int(value: number): void {
    if ((value | 0) !== value) throw new InvalidRequest(`${value} is not a 32-bit integer.`);
    const start = this.#grow(4);
    this.#bytes.writeInt32BE(value, start);
  }

  uint(value: number): void {
    if (value >>> 0 !== value) throw new InvalidRequest(`${value} is not an unsigned 32-bit integer.`);
    const start = this.#grow(4);
    this.#bytes.writeUInt32BE(value, start);
  }

  hyper(value: bigint): void {
    if (BigInt.asIntN(64, value) !== value) throw new InvalidRequest(`${value} is not a 64-bit integer.`);
    const start = this.#grow(8);
    this.#bytes.writeBigInt64BE(value, start);
  }

  uhyper(value: bigint): void {
    if (BigInt.asUintN(64, value) !== value) throw new InvalidRequest(`${value} is not an unsigned 64-bit integer.`);
    const start = this.#grow(8);
    this.#bytes.writeBigUInt64BE(value, start);
  }

  double(value: number): void {
    const start = this.#grow(8);
    this.#bytes.writeDoubleBE(value, start);
  }

  opaque(value: Uint8Array): void {
    const start = this.#grow(value.length + padding(value.length));
    this.#bytes.set(value, start);
    this.#bytes.fill(0, start + value.length, this.#length);
  }

  string(value: string, maxBytes: number): void {
    const length = Buffer.byteLength(value);
    if (length > maxBytes) throw new InvalidRequest(`A string of ${length} bytes is over the limit of ${maxBytes}.`);
    // The daemon is C: it would act on what stands before the NUL while we checked the whole.
    if (value.includes('\0')) throw new InvalidRequest('A string for libvirt must not contain a NUL.');
    this.uint(length);
    const start = this.#grow(length + padding(length));
    this.#bytes.write(value, start, 'utf8');
    this.#bytes.fill(0, start + length, this.#length);
  }

  /** Raw bytes, unpadded: the data of a stream packet. */
  raw(value: Uint8Array): void {
    const start = this.#grow(value.length);
    this.#bytes.set(value, start);
  }

  /** The finished message: its first word becomes its length. */
  finishMessage(): Buffer {
    this.#bytes.writeUInt32BE(this.#length, 0);
    return this.#bytes.subarray(0, this.#length);
  }

  #grow(length: number): number {
    const start = this.#length;
    const end = start + length;
    if (end > LIMIT.messageBytes) {
      throw new InvalidRequest(`A message is over the protocol's limit of ${LIMIT.messageBytes} bytes.`);
    }
    if (end > this.#bytes.length) {
      const bigger = Buffer.allocUnsafe(Math.min(LIMIT.messageBytes, Math.max(end, this.#bytes.length * 2)));
      this.#bytes.copy(bigger, 0, 0, start);
      this.#bytes = bigger;
    }
    this.#length = end;
    return start;
  }
}
