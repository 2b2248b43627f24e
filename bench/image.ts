import { bootImage, startImageServer, type TestHost } from '@novacron/testkit';
import type { BenchClient } from './client.ts';

/** The test image, in NovaCron and so in the pool of the host. */
export interface ImportedImage {
  id: string;
  /** The definition of a VM that boots from it, and the disk that it boots from. */
  domainOf(vmId: string): Promise<{ xml: string; bootDisk: BootDisk }>;
}

/** A clone of the image, as libvirt knows it. */
export interface BootDisk {
  /** The volume's name in the pool. */
  name: string;
  /** The image's. */
  image: string;
  /** Bytes that the guest sees. */
  size: number;
}

/** libvirt's name of the pool that each host has of its own. */
export const POOL = 'nc-local';

const IMPORT = 'mutation ($input: ImportImageInput!) { accepted: importImage(input: $input) { image { id } operation { id } } }';

/** libvirt's name of a volume that NovaCron has made. */
export async function volumeName({ virsh }: TestHost, pool: string, volumeId: string): Promise<string> {
  return only(new RegExp(`^\\s*(\\S*${volumeId}\\S*)`, 'm').exec(await virsh('vol-list', pool)), `libvirt has no volume ${volumeId}`);
}

/** Imports it by HTTP; `host`: the only one. */
export async function importTestImage(client: BenchClient, host: TestHost): Promise<ImportedImage> {
  const { path, sha256 } = await bootImage();
  const server = await startImageServer({ '/guest.qcow2': path });
  try {
    const input = { name: 'bench-image', url: `${server.url}/guest.qcow2`, sha256, format: 'qcow2' };
    const begun = await client.begin<{ image: { id: string } }>(IMPORT, { input });
    await client.succeeded(begun);
    return { id: begun.accepted.image.id, domainOf };
  } finally {
    await server.stop();
  }

  async function domainOf(vmId: string): Promise<{ xml: string; bootDisk: BootDisk }> {
    const xml = await host.virsh('dumpxml', '--inactive', `nc-${vmId}`);
    const name = only(/<source pool='nc-local' volume='([^']*)'\/>(?:(?!<\/disk>)[^])*<boot order='1'\/>/.exec(xml), 'The VM has no boot disk');
    const volume = await host.virsh('vol-dumpxml', '--pool', POOL, name);
    const image = only(/<backingStore>\s*<path>[^<]*\/([^</]+)<\/path>/.exec(volume), 'The boot disk is no clone');
    const size = only(/<capacity unit='bytes'>(\d+)</.exec(volume), 'The boot disk has no size');
    return { xml, bootDisk: { name, image, size: Number(size) } };
  }
}

function only(match: RegExpExecArray | null, otherwise: string): string {
  if (match?.[1] === undefined) throw new Error(`${otherwise}.`);
  return match[1];
}
