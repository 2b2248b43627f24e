import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, open, readdir, rm, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { DomainError, isId } from '@novacron/core';
import type { Sink } from '../fetch/download.ts';
import { urlSource, type FileSource, type UploadedFiles } from '../import-source.ts';

/** How long a client may send nothing. */
const STALL_MS = 30_000;
/** Share of the file system that uploads leave free: it may be the database's, too. */
const KEPT_FREE = 0.05;

export const hashOf = (token: string): string => createHash('sha256').update(token).digest('hex');

/**
 * Uploads on their way into a pool: files of the storage role, <image id>.<hash of a token>. Whoever knows the token reads the
 * file, and nobody else.
 */
export interface Spool {
  /** Writes what a client sends; whole, of this length and with this hash, or not at all. BAD_USER_INPUT (size, sha256), NO_CAPACITY. */
  receive(imageId: string, token: string, body: Readable, expected: { size: number; sha256: string }): Promise<void>;
  /** The file that the token is for; null when there is none. */
  find(token: string): Promise<{ path: string; size: number } | null>;
  /** The images whose files are there. */
  list(): Promise<string[]>;
  remove(imageId: string): Promise<void>;
}

const refusal = (field: string, message: string): DomainError => new DomainError('BAD_USER_INPUT', message, { field });

export function createSpool(directory: string): Spool {
  const entries = async (): Promise<string[]> => readdir(directory).catch(() => []); // made with the first upload
  const remove = async (imageId: string): Promise<void> => {
    for (const name of await entries()) if (name.startsWith(`${imageId}.`)) await rm(join(directory, name), { force: true });
  };
  /** Bytes that are still to come. */
  let announced = 0;
  const takeRoom = async (size: number): Promise<void> => {
    const { bavail, blocks, bsize } = await statfs(directory);
    if (size > (bavail - blocks * KEPT_FREE) * bsize - announced) throw new DomainError('NO_CAPACITY', 'There is no room for an upload of this size at the moment.', { field: 'size' });
    announced += size; // in the same turn: of two that come at once, one finds what the other has left
  };
  return {
    remove,
    async receive(imageId, token, body, { size, sha256 }) {
      await mkdir(directory, { recursive: true, mode: 0o700 });
      await takeRoom(size);
      const file = await open(join(directory, `${imageId}.${hashOf(token)}`), 'wx', 0o600).catch((error: unknown) => {
        announced -= size;
        throw error;
      });
      const hash = createHash('sha256');
      let received = 0;
      let written = 0;
      const stalled = setTimeout(() => body.destroy(refusal('size', 'The upload has stalled.')), STALL_MS);
      try {
        for await (const chunk of body as AsyncIterable<Buffer>) {
          stalled.refresh();
          received += chunk.length;
          if (received > size) throw refusal('size', `The upload is larger than the ${size} bytes that were announced.`);
          hash.update(chunk);
          await file.write(chunk);
          announced -= chunk.length;
          written += chunk.length;
        }
        if (received < size) throw refusal('size', `The upload ended after ${received} of ${size} bytes.`);
        if (hash.digest('hex') !== sha256) throw refusal('sha256', 'The upload has another SHA-256 than the one that was announced.');
      } catch (error) {
        await remove(imageId);
        if (error instanceof DomainError) throw error;
        if ((error as NodeJS.ErrnoException).code === 'ENOSPC') throw new DomainError('NO_CAPACITY', 'There is no room for uploads at the moment.', { cause: error });
        throw refusal('size', `The upload broke off after ${received} of ${size} bytes.`);
      } finally {
        clearTimeout(stalled);
        announced -= size - written;
        await file.close();
      }
    },
    async find(token) {
      const name = (await entries()).find((entry) => entry.endsWith(`.${hashOf(token)}`));
      if (name === undefined) return null;
      const path = join(directory, name);
      const file = await open(path, 'r').catch(() => null); // removed meanwhile
      if (!file) return null;
      try {
        return { path, size: (await file.stat()).size };
      } finally {
        await file.close();
      }
    },
    async list() {
      return [...new Set((await entries()).map((name) => name.split('.')[0] ?? ''))].filter((id) => isId(id));
    },
  };
}

const gone = (): DomainError => new DomainError('NOT_FOUND', 'The uploaded file is gone.');

/** Uploads that lie on this machine. */
export const localUploads = (spool: Spool): UploadedFiles => ({
  open(token, signal): FileSource {
    const read = async (sink: Sink): Promise<void> => {
      const found = await spool.find(token);
      if (!found) throw gone();
      await sink.begin(found.size);
      for await (const chunk of createReadStream(found.path, { signal }) as AsyncIterable<Buffer>) await sink.write(chunk);
    };
    return {
      async head(bytes) {
        const found = await spool.find(token);
        if (!found) throw gone();
        const file = await open(found.path, 'r');
        try {
          const { buffer, bytesRead } = await file.read(Buffer.alloc(bytes), 0, bytes, 0);
          return { head: buffer.subarray(0, bytesRead), size: found.size };
        } finally {
          await file.close();
        }
      },
      async copyTo(sink, onProgress) {
        let received = 0;
        await read({ begin: (size) => sink.begin(size), write: async (chunk) => (await sink.write(chunk), onProgress((received += chunk.length))) });
      },
    };
  },
});

/** Uploads that lie with the storage role, which answers at this URL. */
export const remoteUploads = (filesUrl: string): UploadedFiles => ({
  open: (token, signal) => urlSource(`${filesUrl}/${token}`, { policy: () => true, signal }),
});

export const noUploads: UploadedFiles = {
  open() {
    throw new DomainError('UNAVAILABLE', 'Uploads can not be read here: NOVACRON_STORAGE_URL must say where the storage role is.', { retryable: false });
  },
};
