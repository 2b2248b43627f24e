import { eventually, startImageServer, type TestHost } from '@novacron/testkit';
import type { Graph, Loose } from '../kit/client.ts';
import { startEmbedded, type Embedded } from '../kit/embedded.ts';
import { haltingDisk } from '../kit/image.ts';
import { makePeople } from '../kit/people.ts';
import type { Disturbance } from '../kit/sagas.ts';
import { createVm, Operation, type Vm } from '../kit/vm.ts';
import { haltingKernel, type TestKernel } from '../../services/vms/test/halting-kernel.ts';
import { createNetwork, defaultNetwork, registerHosts } from '../network/network.ts';
import { haveVolume, localPools, newName, type Volume } from '../storage/storage.ts';

/** Two hosts, and everything that a VM can be made of. */
export interface SagaFleet {
  readonly system: Embedded;
  readonly admin: Graph;
  /** The administrator of a tenant. */
  readonly alice: Graph;
  readonly hostIds: readonly [string, string];
  hostOf(id: string): TestHost;
  /** The default network, and an overlay of the tenant. */
  readonly networks: readonly [string, string];
  /** Runs at once, and needs next to nothing. */
  readonly halting: TestKernel;
  /** Volumes in the first host's own pool, used again and again: to make or open one that is encrypted takes long. */
  readonly plain: Volume;
  readonly secret: Volume;
  /** Is its file what it was when it was made? Nobody has written to it. */
  isIntact(volume: Volume): Promise<boolean>;
  /** A new image, in the first host's own pool. */
  importImage(): Promise<string>;
  deleteImage(id: string): Promise<void>;
  close(): Promise<void>;
}

export async function startSagaFleet(trouble: Disturbance): Promise<SagaFleet> {
  const opened = new AsyncDisposableStack();
  try {
    const server = await startImageServer({ '/halting.raw': haltingDisk() });
    opened.defer(() => server.stop());
    const halting = await haltingKernel();
    const system = await startEmbedded({ NOVACRON_IMPORT_ALLOW: '127.0.0.1/32' }, { hosts: 2, bootDirectories: [halting.bootDir], disturb: (step) => trouble.disturb(step) });
    opened.defer(() => system.close());
    const people = await makePeople(system.graph);
    const [admin, alice] = [system.graph.as(people.platformAdmin), system.graph.as(people.tenantAdmin)];
    const hostIds = (await registerHosts(system, admin)) as [string, string]; // two were started
    const hostOf = (id: string): TestHost => {
      const host = system.hosts[hostIds.indexOf(id)];
      if (!host) throw new Error(`There is no test host ${id}.`);
      return host;
    };
    const pools = await eventually('both pools', async () => {
      const found = await localPools(system);
      return found.size === 2 ? found : null;
    }, { timeoutMs: 20_000 });
    const poolId = pools.get(hostIds[0]) ?? '';
    const overlay = await createNetwork(alice, { name: 'net', kind: 'OVERLAY', cidr: '10.9.0.0/24' });
    const [plain, secret] = await Promise.all([false, true].map((encrypted) => haveVolume(alice, { poolId, encrypted, format: 'raw' })));
    if (!plain || !secret) throw new Error('There are no volumes.');
    const sumOf = async ({ id }: Volume): Promise<string> => {
      const [row] = await system.sql(`
        SELECT p.path || '/' || v.libvirt_name AS path, h.host_id FROM storage.volume v
        JOIN storage.pool p ON p.id = v.pool_id JOIN storage.pool_host h ON h.pool_id = p.id WHERE v.id = $1`, [id]);
      return hostOf(row?.['host_id']).exec('sha256sum', row?.['path']);
    };
    const sums = new Map([[plain, await sumOf(plain)], [secret, await sumOf(secret)]]);
    const wait = async (operation: Loose): Promise<void> => void (await new Operation(alice, operation['id']).succeeds(90_000));
    return {
      system,
      admin,
      alice,
      hostIds,
      hostOf,
      networks: [(await defaultNetwork(admin))['id'], overlay['id']],
      halting,
      plain,
      secret,
      isIntact: async (volume) => (await sumOf(volume)) === sums.get(volume),
      async importImage() {
        const { importImage: done } = await alice.run('mutation ($input: ImportImageInput!) { importImage(input: $input) { image { id } operation { id } } }', {
          input: { name: newName('image'), url: `${server.url}/halting.raw`, poolId },
        });
        await wait(done.operation);
        return done.image.id;
      },
      deleteImage: async (id) => wait((await alice.run('mutation ($id: ID!) { deleteImage(id: $id) { operation { id } } }', { id }))['deleteImage'].operation),
      close: () => opened.disposeAsync(),
    };
  } catch (error) {
    await opened.disposeAsync();
    throw error;
  }
}

/** Accepts a VM of everything: boot disk, seed and NICs; `more` says the rest. */
export const createWhole = ({ alice, system, networks, hostIds }: SagaFleet, imageId: string, more: Loose = {}): Promise<{ vm: Vm; operation: Operation }> =>
  createVm(alice, system.guest, {
    kernel: null,
    memory: '32MiB',
    imageId,
    bootDiskSize: '3MiB',
    networks,
    cloudInit: { userData: '#!/bin/sh\necho told\n' },
    placement: { hostId: hostIds[0] },
    ...more,
  });

/** Deletes the VM that a case has made, wherever it has left it. */
export async function remove(vm: Vm): Promise<void> {
  if ((await vm.read('state'))['state'] !== 'DELETED') await (await vm.asks('delete')).succeeds(90_000);
}
