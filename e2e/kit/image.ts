import { createHash } from 'node:crypto';
import { eventually } from '@novacron/testkit';
import type { Graph } from './client.ts';

let count = 0;

const CREATE = 'mutation ($input: ImageUploadInput!) { createImageUpload(input: $input) { image { id } url } }';

/** A disk whose boot sector only halts: its VM is RUNNING as soon as it has started, and needs next to nothing. */
export function haltingDisk(): Buffer {
  const disk = Buffer.alloc(2 ** 20);
  disk.set([0xfa, 0xf4, 0xeb, 0xfd]); // cli; again: hlt; jmp again
  disk.set([0x55, 0xaa], 510);
  return disk;
}

/** An image that is there: the halting disk. */
export async function haveImage(graph: Graph): Promise<string> {
  await aPool(graph);
  const disk = haltingDisk();
  const { createImageUpload: upload } = await graph.run(CREATE, {
    input: { name: `halting-${(count += 1)}`, format: 'raw', sha256: createHash('sha256').update(disk).digest('hex'), size: disk.length },
  });
  const { status } = await fetch(new URL(upload.url, graph.url), { method: 'PUT', body: disk });
  if (status !== 201) throw new Error(`The upload was answered ${status}.`);
  await eventually('the image to be ready', async () => (await graph.run('query ($id: ID!) { image(id: $id) { state } }', { id: upload.image.id }))['image'].state === 'READY', { timeoutMs: 60_000 });
  return upload.image.id;
}

/** Waits for a pool that could take an image. */
const aPool = (graph: Graph): Promise<boolean> =>
  eventually(
    'a storage pool to be ready',
    async () => (await graph.run('{ storagePools { edges { node { state } } } }'))['storagePools'].edges.some(({ node }: { node: { state: string } }) => node.state === 'READY'),
    { timeoutMs: 20_000 },
  );

/** An image of a tenant that waits for its file: all of an image but the file. Waits for a pool that could take it. */
export async function awaitedImage(graph: Graph, tenantId: string): Promise<string> {
  await aPool(graph);
  const { createImageUpload } = await graph.run(CREATE, {
    input: { name: `awaited-${(count += 1)}`, format: 'raw', sha256: '0'.repeat(64), size: 512, tenantId },
  });
  return createImageUpload.image.id;
}
