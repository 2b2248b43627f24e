import { DomainError } from '@novacron/core';
import type { Connection } from '@novacron/libvirt';

/**
 * How images begin that name other files, as libvirt knows them (libvirt 9.0.0 src/storage_file/storage_file_probe.c, fileTypeInfo: qcow and qcow2,
 * QED, VMDK, COW).
 */
const NAME_OTHERS = ['QFI', 'QED', 'KDMV', 'OOOM'];
const HEAD_BYTES = 512;

/**
 * Before libvirt reads or grows a raw volume that a guest may have written to: whenever libvirt looks at a pool, it takes a file for what
 * its first bytes say. With a header that a guest has written into its disk, qemu-img would read, or cut, whatever file of the host that
 * header names. INVALID_STATE. Needs a connection that may have a stream.
 */
export async function requirePlainRaw(connection: Connection, volume: Parameters<Connection['volumes']['download']>[0]): Promise<void> {
  const chunks: Buffer[] = [];
  for await (const chunk of (await connection.volumes.download(volume, { length: HEAD_BYTES })) as AsyncIterable<Buffer>) chunks.push(chunk);
  const head = Buffer.concat(chunks).toString('latin1');
  if (!NAME_OTHERS.some((magic) => head.startsWith(magic))) return;
  throw new DomainError('INVALID_STATE', 'What is in the volume begins like a disk image that names other files. A raw volume with such a beginning is neither copied nor resized: overwrite it, or keep the image as a file.');
}
