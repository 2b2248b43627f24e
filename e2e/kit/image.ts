import { eventually } from '@novacron/testkit';
import type { Graph } from './client.ts';

let count = 0;

/** An image of a tenant that waits for its file: all of an image but the file. Waits for a pool that could take it. */
export async function awaitedImage(graph: Graph, tenantId: string): Promise<string> {
  await eventually(
    'a storage pool to be ready',
    async () => (await graph.run('{ storagePools { edges { node { state } } } }'))['storagePools'].edges.some(({ node }: { node: { state: string } }) => node.state === 'READY'),
    { timeoutMs: 20_000 },
  );
  const { createImageUpload } = await graph.run('mutation ($input: ImageUploadInput!) { createImageUpload(input: $input) { image { id } } }', {
    input: { name: `awaited-${(count += 1)}`, format: 'raw', sha256: '0'.repeat(64), size: 512, tenantId },
  });
  return createImageUpload.image.id;
}
