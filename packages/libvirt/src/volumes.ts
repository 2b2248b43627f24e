import type { Readable, Writable } from 'node:stream';
import { RESIZE_VOLUME, TRANSFER } from './flags.ts';
import { PROCEDURES } from './procedures.ts';
import type { CallOptions, RpcChannel } from './rpc-channel.ts';
import type { PoolRef, VolumeRef } from './structures.ts';

/** Source: libvirt 9.0.0 include/libvirt/libvirt-storage.h, virStorageVolType; the position is libvirt's number. */
const TYPES = ['file', 'block', 'dir', 'network', 'netdir', 'ploop'] as const;

/** virStorageVolInfo, in bytes. */
export interface VolumeInfo {
  /** `unknown` stands for a number that this client does not know. */
  readonly type: (typeof TYPES)[number] | 'unknown';
  /** What a guest sees. */
  readonly capacity: number;
  /** What it takes on the host. */
  readonly allocation: number;
}

/** The part of a volume that is uploaded or downloaded. */
export interface VolumePart {
  /** Bytes from its start; default 0. */
  readonly offset?: number;
  /** Bytes; default 0: to the end, and in an upload as far as what is written reaches. */
  readonly length?: number;
  /** Zeros do not cross the wire. An upload that is sparse is only for the whole of a new volume: see {@link Volumes.upload}. */
  readonly sparse?: boolean;
}

/**
 * The volumes of one connection's storage pools; the pool must be active. Every method rejects with a
 * ClientError; a volume that is gone is NO_STORAGE_VOL. create, createFrom, delete, resize and wipe
 * last as long as their bytes take: give them a `deadlineMs` that fits.
 */
export class Volumes {
  readonly #channel: RpcChannel;

  constructor(channel: RpcChannel) {
    this.#channel = channel;
  }

  /** The volumes of a pool as of its last change or refresh, at most 16384. */
  async list(pool: PoolRef, options?: CallOptions): Promise<VolumeRef[]> {
    const args = { pool, needResults: 1, flags: 0 };
    return (await this.#channel.call(PROCEDURES.poolListAllVolumes, args, options)).volumes;
  }

  /** Rejects with NO_STORAGE_VOL when there is none. */
  async lookupByName(pool: PoolRef, name: string, options?: CallOptions): Promise<VolumeRef> {
    return (await this.#channel.call(PROCEDURES.volumeLookupByName, { pool, name }, options)).volume;
  }

  /** Makes a new volume; STORAGE_VOL_EXIST when there is one of that name. `flags`: CREATE_VOLUME. */
  async create(pool: PoolRef, xml: string, flags = 0, options?: CallOptions): Promise<VolumeRef> {
    return (await this.#channel.call(PROCEDURES.volumeCreateXml, { pool, xml, flags }, options)).volume;
  }

  /** Makes a new volume with the content of another, of this pool or of another one. `flags`: CREATE_VOLUME. */
  async createFrom(
    pool: PoolRef,
    xml: string,
    source: VolumeRef,
    flags = 0,
    options?: CallOptions,
  ): Promise<VolumeRef> {
    return (await this.#channel.call(PROCEDURES.volumeCreateXmlFrom, { pool, xml, source, flags }, options)).volume;
  }

  /** Removes a volume and its content. `flags`: DELETE_VOLUME. */
  delete(volume: VolumeRef, flags = 0, options?: CallOptions): Promise<void> {
    return this.#channel.call(PROCEDURES.volumeDelete, { volume, flags }, options);
  }

  /** Looks at the medium. `flags`: VOLUME_INFO. */
  async info(volume: VolumeRef, flags = 0, options?: CallOptions): Promise<VolumeInfo> {
    const info = await this.#channel.call(PROCEDURES.volumeGetInfoFlags, { volume, flags }, options);
    return { ...info, type: TYPES[info.type] ?? 'unknown' };
  }

  async xml(volume: VolumeRef, options?: CallOptions): Promise<string> {
    return (await this.#channel.call(PROCEDURES.volumeGetXmlDesc, { volume, flags: 0 }, options)).xml;
  }

  /** Where the host finds it: a file, a device, or what its pool calls it (`pool/image` of RBD). */
  async path(volume: VolumeRef, options?: CallOptions): Promise<string> {
    return (await this.#channel.call(PROCEDURES.volumeGetPath, { volume }, options)).path;
  }

  /**
   * Sets the capacity in bytes, or with `delta` changes it by so many. Less than now is INVALID_ARG
   * without `shrink`, which cuts off what is behind it. `allocate`: take the space at once.
   * Not while a domain uses the volume: that is blockResize.
   */
  resize(
    volume: VolumeRef,
    capacityBytes: number,
    how: { shrink?: boolean; allocate?: boolean; delta?: boolean } = {},
    options?: CallOptions,
  ): Promise<void> {
    const flags =
      (how.shrink ? RESIZE_VOLUME.SHRINK : 0) |
      (how.allocate ? RESIZE_VOLUME.ALLOCATE : 0) |
      (how.delta ? RESIZE_VOLUME.DELTA : 0);
    return this.#channel.call(PROCEDURES.volumeResize, { volume, capacity: capacityBytes, flags }, options);
  }

  /** Overwrites the volume with zeros. */
  wipe(volume: VolumeRef, options?: CallOptions): Promise<void> {
    return this.#channel.call(PROCEDURES.volumeWipe, { volume, flags: 0 }, options);
  }

  /**
   * Opens a volume for writing. `end()` sends the end; `finish`, and so a pipeline's promise, follows
   * when the daemon has confirmed it, and the daemon's error destroys the stream with a LibvirtError.
   * `destroy()` aborts; what has arrived by then stays. More than `length` is SYSTEM_ERROR; without a
   * length a file grows. The deadline is for the opening; the bytes take what they take.
   *
   * Backpressure is the connection's: the daemon stops reading it while its disk is slow, calls and
   * pings included. Give a transfer a connection of its own.
   *
   * Two faults of libvirt (9.0.0 src/util/virfdstream.c) are the caller's to know. It confirms although
   * the last packets could not be written, because the disk is full say (virFDStreamCloseInt): make
   * sure of the space before, or compare afterwards. And in a file it steps over a hole of a `sparse`
   * upload, keeping what was there, and cuts the file off behind it (virFDStreamThreadDoWrite): only
   * for the whole of a new volume.
   */
  upload(volume: VolumeRef, part: VolumePart = {}, options?: CallOptions): Promise<Writable> {
    const { offset = 0, length = 0, sparse = false } = part;
    const args = { volume, offset, length, flags: sparse ? TRANSFER.SPARSE_STREAM : 0 };
    return this.#channel.openStream(PROCEDURES.volumeUpload, args, options, { direction: 'upload', sparse });
  }

  /**
   * Opens a volume for reading. `end` follows when the daemon has confirmed that this was all; its
   * error destroys the stream with a LibvirtError. `destroy()` aborts. The deadline is for the opening.
   *
   * While the reader does not read, nothing of its connection is read, calls and pings included; a
   * reader that takes nothing for 15 s loses its stream (DeadlineExceeded). Give a transfer a
   * connection of its own. A hole of a `sparse` volume is read as zeros here, made on this side.
   */
  download(volume: VolumeRef, part: VolumePart = {}, options?: CallOptions): Promise<Readable> {
    const { offset = 0, length = 0, sparse = false } = part;
    const args = { volume, offset, length, flags: sparse ? TRANSFER.SPARSE_STREAM : 0 };
    return this.#channel.openStream(PROCEDURES.volumeDownload, args, options, { direction: 'download', sparse });
  }
}
