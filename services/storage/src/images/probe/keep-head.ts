import type { Sink } from '../fetch/download.ts';
import { PROBE_BYTES } from './probe.ts';

/** Passes a file on, and keeps its first bytes: those that a probe needs, as they were put away in the end. */
export function keepHead(sink: Sink): { sink: Sink; head(): Buffer } {
  let chunks: Buffer[] = [];
  let kept = 0;
  return {
    sink: {
      async begin(size) {
        [chunks, kept] = [[], 0];
        await sink.begin(size);
      },
      async write(chunk) {
        if (kept < PROBE_BYTES) {
          const part = Buffer.from(chunk.subarray(0, PROBE_BYTES - kept)); // a copy: the buffer may be used again
          chunks.push(part);
          kept += part.length;
        }
        await sink.write(chunk);
      },
    },
    head: () => Buffer.concat(chunks),
  };
}
