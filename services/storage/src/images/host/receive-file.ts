import { createHash, type Hash } from 'node:crypto';
import type { Writable } from 'node:stream';
import { finished } from 'node:stream/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { DomainError } from '@novacron/core';
import { LibvirtError, type Connection } from '@novacron/libvirt';
import { isCode, type HostStorage, type Place } from '../../host/host-storage.ts';
import type { Sink } from '../fetch/download.ts';
import type { ImageFormat } from '../probe/probed.ts';
import { readVolumeFacts, type VolumeFacts } from './volume-facts.ts';

/** What a file is to be, as its first bytes and its server have said. */
export interface ExpectedFile {
  format: ImageFormat;
  /** Bytes of the disk in it. */
  size: number;
  fileSize: number;
  /** Hexadecimal; null: whatever it is. */
  sha256: string | null;
}

/** Reading a large pool again takes as long as its disks do. */
const REFRESH_DEADLINE_MS = 10 * 60_000;
const REFRESH_TRIES = 100;
const REFRESH_PAUSE_MS = 200;

/**
 * Streams a file into a new volume of a host's pool, through libvirt. `fill` puts it into the sink, and may begin again. What
 * lands is compared with what was expected, by us and by libvirt. Answers its SHA-256. Errors: BAD_USER_INPUT (sha256, url),
 * NO_CAPACITY, those of libvirt and of `fill`. After an error a part of the file may be there: `HostStorage.remove` removes it.
 */
export async function receiveFile(
  storage: HostStorage,
  place: Place,
  expected: ExpectedFile,
  signal: AbortSignal,
  fill: (sink: Sink) => Promise<unknown>,
): Promise<string> {
  return receiveBytes(storage, place, expected.fileSize, signal, fill, (found, sha256) => {
    if (expected.sha256 !== null && sha256 !== expected.sha256) {
      throw new DomainError('BAD_USER_INPUT', `The file has the SHA-256 ${sha256}, not the one that was given.`, { field: 'sha256' });
    }
    compare(found, expected);
  });
}

/** The same, whatever the bytes are; `check` looks at what libvirt found in them. */
export async function receiveBytes(
  storage: HostStorage,
  place: Place,
  fileSize: number,
  signal: AbortSignal,
  fill: (sink: Sink) => Promise<unknown>,
  check: (found: VolumeFacts, sha256: string) => void,
): Promise<string> {
  const connection = await storage.agent.openConnection();
  const close = (): void => void connection.close();
  signal.addEventListener('abort', close, { once: true });
  const upload = openUpload(storage, connection, place, fileSize);
  try {
    signal.throwIfAborted();
    await fill(upload.sink);
    const sha256 = await upload.finish();
    const found = await readBack(storage, connection, place, signal);
    // libvirt confirms an upload of which the last bytes had no room (see Volumes.upload)
    if (found.physical < fileSize) throw noSpace(undefined);
    check(found, sha256);
    return sha256;
  } catch (error) {
    signal.throwIfAborted(); // what the closed connection says is no news
    throw isDiskFull(error) ? noSpace(error) : error;
  } finally {
    signal.removeEventListener('abort', close);
    upload.abort();
    await connection.close();
  }
}

/** A stream that is gone without a word, as when its connection is closed, calls nobody back. */
const writeTo = (stream: Writable, chunk: Buffer): Promise<void> =>
  new Promise((resolve, reject) => {
    const gone = (): void => reject(connectionLost(stream.errored));
    stream.once('close', gone);
    stream.write(chunk, (error) => {
      stream.off('close', gone);
      if (error) reject(connectionLost(error));
      else resolve();
    });
  });

/** libvirt's own words where it has said any. */
const connectionLost = (cause: Error | null): Error =>
  cause instanceof LibvirtError ? cause : new DomainError('UNAVAILABLE', 'The connection to the hypervisor was lost.', { cause });

interface Upload {
  sink: Sink;
  /** Ends the stream; answers the hash of all that was written. */
  finish(): Promise<string>;
  abort(): void;
}

/**
 * The volume is made empty and raw, and grows with the upload: so its length tells how much arrived, and libvirt's next look
 * at the pool tells its format, whatever that is. (An upload writes the bytes of a file; it knows no formats.)
 */
function openUpload(storage: HostStorage, connection: Connection, place: Place, fileSize: number): Upload {
  let stream: Writable | null = null;
  let hash: Hash = createHash('sha256');
  let failed: Error | null = null;
  const abort = (): void => {
    stream?.destroy();
    stream = null;
  };
  return {
    abort,
    sink: {
      async begin(size) {
        abort();
        if (size !== fileSize) throw new DomainError('BAD_USER_INPUT', 'The file has changed while it was fetched: its length is another.', { field: 'url' });
        hash = createHash('sha256');
        failed = null;
        await storage.make(place, { size: 0, format: 'raw', secretId: null });
        const volume = await storage.find(connection, place);
        if (!volume) throw new DomainError('UNAVAILABLE', 'The volume was removed while an image was written to it.');
        const opened = await connection.volumes.upload(volume, { sparse: true });
        opened.on('error', (error: Error) => {
          if (stream === opened) failed = error;
        });
        stream = opened;
      },
      async write(chunk) {
        if (failed) throw failed;
        if (!stream) throw new Error('Nothing was begun.');
        hash.update(chunk);
        await writeTo(stream, chunk);
      },
    },
    async finish() {
      if (failed) throw failed;
      if (!stream) throw new Error('Nothing was begun.');
      stream.end();
      await finished(stream).catch((error: Error) => {
        throw connectionLost(failed ?? error);
      });
      stream = null;
      return hash.digest('hex');
    },
  };
}

/** libvirt looks at the file: by itself after an upload, and again here, since nobody says when it has. */
async function readBack(storage: HostStorage, connection: Connection, place: Place, signal: AbortSignal): Promise<VolumeFacts> {
  const pool = await storage.pool(connection, place.pool.name);
  for (let attempt = 1; ; attempt += 1) {
    try {
      await connection.pools.refresh(pool, { deadlineMs: REFRESH_DEADLINE_MS });
      break;
    } catch (error) {
      // "pool has asynchronous jobs running": someone makes a volume in it, or libvirt itself looks
      if (!isCode(error, 'INTERNAL_ERROR') || attempt >= REFRESH_TRIES) throw error;
    }
    await delay(REFRESH_PAUSE_MS, undefined, { signal });
  }
  return readVolumeFacts(await connection.volumes.xml(await connection.volumes.lookupByName(pool, place.libvirtName)));
}

function compare(found: VolumeFacts, { format, size }: ExpectedFile): void {
  const isSame = found.format === format && found.backing === null && found.capacity === size;
  if (!isSame) throw new DomainError('BAD_USER_INPUT', `The hypervisor takes the file for something else: ${found.format ?? 'nothing'} with ${found.capacity} bytes.`, { field: 'url' });
}

/** errno's words are all that libvirt passes on. */
const isDiskFull = (error: unknown): boolean => error instanceof LibvirtError && /No space left on device|Disk quota exceeded|File too large/.test(error.message);

const noSpace = (cause: unknown): DomainError => new DomainError('NO_CAPACITY', 'The storage pool is full: not all of the file has room in it.', { field: 'poolId', cause });
