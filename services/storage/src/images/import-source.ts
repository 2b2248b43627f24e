import type { AddressPolicy } from './fetch/addresses.ts';
import { download, fetchHead, type DownloadOptions, type Sink } from './fetch/download.ts';

/** Where an image comes from, as it stands in a step's input. */
export type ImportSource = { url: string } | { upload: string };

/** Reads a file, from its beginning as often as it is asked to. */
export interface FileSource {
  head(bytes: number): Promise<{ head: Buffer; size: number }>;
  copyTo(sink: Sink, onProgress: (bytes: number) => void): Promise<unknown>;
}

/** Files that clients have sent, where an agent can read them: `token` is what the step's input names. */
export interface UploadedFiles {
  open(token: string, signal: AbortSignal): FileSource;
}

/** How images come in. */
export interface Imports {
  /** Which addresses a URL may lead to. */
  policy: AddressPolicy;
  uploads: UploadedFiles;
}

/** Counts what passes. */
const counted = (sink: Sink, onProgress: (bytes: number) => void): Sink => {
  let received = 0;
  return {
    async begin(size) {
      received = 0;
      onProgress(0);
      await sink.begin(size);
    },
    async write(chunk) {
      await sink.write(chunk);
      onProgress((received += chunk.length));
    },
  };
};

/** A file behind a URL. */
export const urlSource = (url: string, options: DownloadOptions): FileSource => ({
  head: (bytes) => fetchHead(url, bytes, options),
  copyTo: (sink, onProgress) => download(url, counted(sink, onProgress), options),
});

export const openSource = (source: ImportSource, { policy, uploads }: Imports, signal: AbortSignal): FileSource =>
  'url' in source ? urlSource(source.url, { policy, signal }) : uploads.open(source.upload, signal);
