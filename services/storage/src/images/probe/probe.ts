import { bad, type ImageFormat, type Probed } from './probed.ts';
import { probeQcow2, QCOW2_MAGIC } from './qcow2.ts';

/** How much of a file has to be there to probe it: a qcow2's first cluster may be 2 MiB, its header is never that long. */
export const PROBE_BYTES = 64 * 1024;

const SECTOR = 512;

interface Signature {
  what: string;
  at: number;
  bytes: Buffer;
  /** What to do about it. */
  remedy: string;
}

const text = (what: string, bytes: string, remedy: string, at = 0): Signature => ({ what, at, bytes: Buffer.from(bytes, 'latin1'), remedy });
const UNPACK = 'unpack it first.';
const CONVERT = 'convert it with qemu-img convert -O qcow2.';

/**
 * What people take for an image. Sources: the files' own specifications, and block/{vmdk,vdi,vpc,vhdx,qed,parallels,luks}.c of QEMU 7.2.
 */
const FOREIGN: readonly Signature[] = [
  text('compressed with gzip', '\x1f\x8b', UNPACK),
  text('compressed with xz', '\xfd7zXZ\0', UNPACK),
  text('compressed with bzip2', 'BZh', UNPACK),
  text('compressed with zstd', '\x28\xb5\x2f\xfd', UNPACK),
  text('compressed with lz4', '\x04\x22\x4d\x18', UNPACK),
  text('a ZIP archive', 'PK\x03\x04', UNPACK),
  text('a 7z archive', '7z\xbc\xaf\x27\x1c', UNPACK),
  text('a tar archive (an OVA, perhaps)', 'ustar', UNPACK, 257),
  text('a VMDK', 'KDMV', CONVERT),
  text('a VMDK', 'COWD', CONVERT),
  text('a VMDK', '# Disk DescriptorFile', CONVERT),
  text('a VDI', '\x7f\x10\xda\xbe', CONVERT, 64),
  text('a VHD', 'conectix', CONVERT),
  text('a VHDX', 'vhdxfile', CONVERT),
  text('a QED image', 'QED\0', CONVERT),
  text('a Parallels image', 'WithoutFreeSpace', CONVERT),
  text('a Parallels image', 'WithouFreSpacExt', CONVERT),
  text('a bochs image', 'Bochs Virtual HD Image', CONVERT),
  text('a cloop image', '#!/bin/sh\n#V2.0 Format\nmodprobe cloop', CONVERT),
  text('a LUKS container', 'LUKS\xba\xbe', 'import it without encryption.'),
  text('an ISO 9660 image of a CD', 'CD001', 'it is nothing to boot a clone of: import an image of a disk.', 32_769),
  text('an Apple disk image', 'koly', CONVERT),
  text('a Linux program', '\x7fELF', 'import an image of a disk.'),
  text('a PDF document', '%PDF-', 'import an image of a disk.'),
];

/**
 * Says what a file is, by its first bytes (PROBE_BYTES, or all of a smaller one) and its size alone; nothing of it is
 * followed. BAD_USER_INPUT for everything but a qcow2 that stands alone and a raw image of a disk. `asked` is the format
 * that the client named: another one is refused with the field "format".
 */
export function probeImage(head: Buffer, fileSize: number, asked: ImageFormat | null): Probed {
  if (fileSize === 0 || head.length === 0) bad('The file is empty.');
  const probed = head.subarray(0, 4).equals(QCOW2_MAGIC) ? probeQcow2(head, fileSize) : probeRaw(head, fileSize);
  if (asked !== null && probed.format !== asked) bad(`The file is no ${asked} image: it is ${probed.format}.`, 'format');
  return probed;
}

function probeRaw(head: Buffer, fileSize: number): Probed {
  const foreign = FOREIGN.find(({ at, bytes }) => head.subarray(at, at + bytes.length).equals(bytes));
  if (foreign) bad(`The file is ${foreign.what}: ${foreign.remedy}`);
  if (isText(head)) bad('The file is no image but text, a web page perhaps.');
  if (fileSize % SECTOR !== 0) bad('The file is no image: it is neither qcow2 nor whole sectors of 512 bytes.');
  return { format: 'raw', size: fileSize };
}

/** Only what is printed, from its first byte on; a disk begins with a boot sector or with zeros. */
function isText(head: Buffer): boolean {
  const start = head.subarray(0, 512);
  return start.every((byte) => (byte >= 0x20 && byte !== 0x7f) || (byte >= 0x09 && byte <= 0x0d));
}
