import { eventually, guest, startLibvirtHosts, type TestHost } from '@novacron/testkit';
import { BenchClient, type NewVm } from './client.ts';
import { importTestImage, type ImportedImage } from './image.ts';
import { startProduct, type Product } from './product.ts';

/** A host that guests migrate to and from. */
export interface Peer {
  id: string;
  host: TestHost;
}

/** What every measurement works with. */
export interface Lab extends AsyncDisposable {
  product: Product;
  client: BenchClient;
  /** A private libvirt host, on which NovaCron and virsh run the same guests. */
  host: TestHost;
  /** A VM under a new name, without networks. */
  newVm(options?: NewVmOptions): NewVm;
  /** A name that was not given yet. */
  newName(): string;
  /** The test image; imported at the first use, which must be before that of `peers`. */
  image(): Promise<ImportedImage>;
  /** Two more hosts, between which guests can migrate. They join the fleet at the first use. */
  peers(): Promise<readonly [Peer, Peer]>;
}

export interface NewVmOptions {
  start?: boolean;
  memory?: string;
  /** More words for the kernel's command line. */
  cmdline?: string;
}

/** How long a host may take to join the fleet, with its pool and its networks. */
const JOIN_MS = 30_000;

export async function openLab(): Promise<Lab> {
  const opened = new AsyncDisposableStack();
  try {
    const image = await guest();
    const { hosts, stop } = await startLibvirtHosts(3);
    opened.defer(stop);
    const [host, ...others] = hosts;
    if (!host) throw new Error('There is no test host.');
    const product = await startProduct({ libvirtUri: host.uri, bootDirectory: image.bootDir });
    opened.defer(() => product.stop());
    const client = opened.use(await BenchClient.signIn(product));
    await poolOf(client, 'bench');
    let made = 0;
    let imported: Promise<ImportedImage> | undefined;
    let peers: Promise<Peer[]> | undefined;
    return {
      product,
      client,
      host,
      newVm: ({ start = true, memory = '128MiB', cmdline = '' } = {}) => ({
        name: `bench-${(made += 1)}`,
        memory,
        start,
        kernel: { kernel: image.kernel, initrd: image.initrd, cmdline: `${image.cmdline} ${cmdline}`.trim() },
        networks: [],
      }),
      newName: () => `bench-${(made += 1)}`,
      image: () => (imported ??= importTestImage(client, host)),
      async peers() {
        const [one, other] = await (peers ??= Promise.all(others.map((peer) => join(client, peer))));
        if (!one || !other) throw new Error('There are not three test hosts.');
        return [one, other];
      },
      [Symbol.asyncDispose]: () => opened.disposeAsync(),
    };
  } catch (error) {
    await opened.disposeAsync();
    throw error;
  }
}

async function join(client: BenchClient, host: TestHost): Promise<Peer> {
  const { registerHost } = await client.ask<{ registerHost: { id: string } }>('mutation ($input: RegisterHostInput!) { registerHost(input: $input) { id } }', {
    input: { name: host.name, uri: host.uri, migrationUri: `qemu+tcp://${host.address}/system` },
  });
  await poolOf(client, host.name);
  return { id: registerHost.id, host };
}

interface Fleet {
  hosts: { edges: { node: { name: string; state: string } }[] };
  storagePools: { edges: { node: { id: string; name: string; state: string; hosts: { name: string }[] } }[] };
}

/** The id of the pool that a host has of its own; waits until the host is online and has it. */
export function poolOf(client: BenchClient, hostName: string): Promise<string> {
  return eventually(
    `host ${hostName} to be online, with its pool`,
    async () => {
      const fleet = await client.ask<Fleet>('{ hosts { edges { node { name state } } } storagePools { edges { node { id name state hosts { name } } } } }');
      const isOnline = fleet.hosts.edges.some(({ node }) => node.name === hostName && node.state === 'ONLINE');
      const pool = fleet.storagePools.edges.find(({ node }) => node.name === 'local' && node.state === 'READY' && node.hosts.some(({ name }) => name === hostName));
      return isOnline && pool?.node.id;
    },
    { timeoutMs: JOIN_MS, intervalMs: 200 },
  );
}
