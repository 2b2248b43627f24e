import { bad, type Probed } from './probed.ts';

/** "QFI\xfb". Source for all of this: https://gitlab.com/qemu-project/qemu/-/blob/v7.2.0/docs/interop/qcow2.txt */
export const QCOW2_MAGIC = Buffer.from([0x51, 0x46, 0x49, 0xfb]);

/** Incompatible features, by bit. */
const DIRTY = 1n << 0n;
const CORRUPT = 1n << 1n;
const EXTERNAL_DATA = 1n << 2n;
const COMPRESSION_TYPE = 1n << 3n;
const EXTENDED_L2 = 1n << 4n;
const KNOWN = DIRTY | CORRUPT | EXTERNAL_DATA | COMPRESSION_TYPE | EXTENDED_L2;

/** Header extensions that say that the disk's content lies, or is described, outside. */
const EXTENSION_END = 0;
const EXTENSION_BACKING_FORMAT = 0xe2792aca;
const EXTENSION_ENCRYPTION = 0x0537be77;
const EXTENSION_EXTERNAL_DATA = 0x44415441;

const V2_HEADER = 72;
const V3_HEADER = 104;
/** Of the virtual disk: what an ext4 or XFS in it could use. Keeps the L1 table that QEMU reads at once within bounds. */
const MOST_BYTES = 64 * 2 ** 40;
/** QEMU's own bound. Source: QCOW_MAX_L1_SIZE in block/qcow2.h */
const MOST_L1_BYTES = 32 * 2 ** 20;
const MOST_SNAPSHOTS = 65_536;

/**
 * Reads a qcow2 header (version 2 or 3). Refused are all that names a file outside, is encrypted, or asks for what we do
 * not know; `fileSize` bounds what the tables may name.
 */
export function probeQcow2(head: Buffer, fileSize: number): Probed {
  if (head.length < V2_HEADER) bad('The qcow2 image ends within its header.');
  const version = head.readUInt32BE(4);
  if (version !== 2 && version !== 3) bad(`The qcow2 image is of version ${version}; versions 2 and 3 are known.`);
  if (head.readBigUInt64BE(8) !== 0n || head.readUInt32BE(16) !== 0) bad('The qcow2 image has a backing file outside: import an image that stands alone.');
  const headerLength = version === 2 ? V2_HEADER : readFeatures(head);

  const clusterBits = head.readUInt32BE(20);
  if (clusterBits < 9 || clusterBits > 21) bad('The qcow2 image has clusters of a size that QEMU does not read.');
  const size = head.readBigUInt64BE(24);
  if (size === 0n || size > BigInt(MOST_BYTES)) bad('The qcow2 image holds a disk of no size, or of more than 64 TiB.');
  if (head.readUInt32BE(32) !== 0) bad('The qcow2 image is encrypted: import it without encryption.');
  checkTables(head, { clusterBits, size, fileSize });
  readExtensions(head, headerLength, 2 ** clusterBits);
  return { format: 'qcow2', size: Number(size) };
}

/** The part that version 3 added. Answers the header's length. */
function readFeatures(head: Buffer): number {
  if (head.length < V3_HEADER) bad('The qcow2 image ends within its header.');
  const incompatible = head.readBigUInt64BE(72);
  if ((incompatible & EXTERNAL_DATA) !== 0n) bad('The qcow2 image keeps its data in a file outside: import an image that stands alone.');
  if ((incompatible & CORRUPT) !== 0n) bad('The qcow2 image says of itself that it is corrupt: repair it with qemu-img check -r all.');
  if ((incompatible & ~KNOWN) !== 0n) bad('The qcow2 image needs a feature that is not known here.');
  const length = head.readUInt32BE(100);
  if (length < V3_HEADER || length % 8 !== 0 || length > 4096) bad('The qcow2 image has a header of an odd length.');
  if (head.readUInt32BE(96) > 6) bad('The qcow2 image has reference counts of an odd width.');
  return length;
}

/** Where the tables are, and how large: all of it within the file. */
function checkTables(head: Buffer, { clusterBits, size, fileSize }: { clusterBits: number; size: bigint; fileSize: number }): void {
  const isExtended = head.readUInt32BE(4) === 3 && (head.readBigUInt64BE(72) & EXTENDED_L2) !== 0n;
  const perL2 = 2n ** BigInt(clusterBits) / (isExtended ? 16n : 8n);
  const perL1Entry = perL2 * 2n ** BigInt(clusterBits);
  const l1Entries = BigInt(head.readUInt32BE(36));
  if (l1Entries * 8n > BigInt(MOST_L1_BYTES) || l1Entries < (size + perL1Entry - 1n) / perL1Entry) bad('The qcow2 image has a table that does not fit its size.');
  const cluster = 2n ** BigInt(clusterBits);
  const within = (offset: bigint, bytes: bigint): boolean => offset % cluster === 0n && offset >= cluster && offset + bytes <= BigInt(fileSize);
  if (!within(head.readBigUInt64BE(40), l1Entries * 8n)) bad('The qcow2 image is cut off, or its first table lies outside of it.');
  const refcountClusters = BigInt(head.readUInt32BE(56));
  if (refcountClusters === 0n || !within(head.readBigUInt64BE(48), 1n)) bad('The qcow2 image is cut off, or its reference counts lie outside of it.');
  const snapshots = head.readUInt32BE(60);
  if (snapshots > MOST_SNAPSHOTS || (snapshots > 0 && !within(head.readBigUInt64BE(64), 1n))) bad('The qcow2 image has snapshots that lie outside of it.');
}

/** Extensions follow the header and end in the first cluster. */
function readExtensions(head: Buffer, start: number, clusterBytes: number): void {
  const end = Math.min(head.length, clusterBytes);
  for (let at = start; at + 8 <= end; ) {
    const type = head.readUInt32BE(at);
    const length = head.readUInt32BE(at + 4);
    if (type === EXTENSION_END) return;
    if (type === EXTENSION_BACKING_FORMAT) bad('The qcow2 image has a backing file outside: import an image that stands alone.');
    if (type === EXTENSION_EXTERNAL_DATA) bad('The qcow2 image keeps its data in a file outside: import an image that stands alone.');
    if (type === EXTENSION_ENCRYPTION) bad('The qcow2 image is encrypted: import it without encryption.');
    at += 8 + Math.ceil(length / 8) * 8;
    if (at > end) bad('The qcow2 image has a header extension that does not end.');
  }
}
