/** The unit in which zeros are looked for: a file system's block. */
const BLOCK_BYTES = 4096;

const ZEROS = Buffer.alloc(BLOCK_BYTES);

/** The longest piece of `chunk` from `start` on that is all zeros, or in which no block is. `start` is before its end. */
export function nextPiece(chunk: Buffer, start: number): { isZeros: boolean; end: number } {
  const isZeros = isZeroBlock(chunk, start);
  let end = start;
  do end = Math.min(end + BLOCK_BYTES, chunk.length);
  while (end < chunk.length && isZeroBlock(chunk, end) === isZeros);
  return { isZeros, end };
}

function isZeroBlock(chunk: Buffer, start: number): boolean {
  const end = Math.min(start + BLOCK_BYTES, chunk.length);
  return chunk.compare(ZEROS, 0, end - start, start, end) === 0;
}
