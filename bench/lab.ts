import { eventually, guest, startLibvirtHosts, testRun, type TestHost } from '@novacron/testkit';
import { BenchClient, type NewVm } from './client.ts';
import { startProduct, type Product } from './product.ts';

/** What every measurement works with. */
export interface Lab extends AsyncDisposable {
  product: Product;
  client: BenchClient;
  /** A private libvirt host, on which NovaCron and virsh run the same guests. */
  host: TestHost;
  /** A VM under a new name. */
  newVm(options?: { start?: boolean }): NewVm;
}

export async function openLab(): Promise<Lab> {
  const opened = new AsyncDisposableStack();
  try {
    const run = await testRun();
    opened.defer(() => run.close());
    const image = await guest();
    const { hosts, stop } = await startLibvirtHosts(1);
    opened.defer(stop);
    const [host] = hosts;
    if (!host) throw new Error('There is no test host.');
    const product = await startProduct({ libvirtUri: host.uri, bootDirectory: image.bootDir });
    opened.defer(() => product.stop());
    const client = opened.use(await BenchClient.signIn(product));
    await eventually('the host to be online', async () => {
      const fleet = await client.ask<{ hosts: { edges: { node: { state: string } }[] } }>('{ hosts { edges { node { state } } } }');
      return fleet.hosts.edges[0]?.node.state === 'ONLINE';
    });
    let made = 0;
    return {
      product,
      client,
      host,
      newVm: ({ start = true } = {}) => ({
        name: `bench-${(made += 1)}`,
        memory: '128MiB',
        start,
        kernel: { kernel: image.kernel, initrd: image.initrd, cmdline: image.cmdline },
      }),
      [Symbol.asyncDispose]: () => opened.disposeAsync(),
    };
  } catch (error) {
    await opened.disposeAsync();
    throw error;
  }
}
