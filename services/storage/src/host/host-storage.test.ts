import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import type { HostAgent } from '@novacron/agent';
import type { HostId } from '@novacron/core';
import { connect, type Connection } from '@novacron/libvirt';
import { startLibvirtHosts, testRun, type LibvirtHosts, type TestHost } from '@novacron/testkit';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createHostStorage, type HostStorage, type Place } from './host-storage.ts';
import { poolXml } from './volume-xml.ts';

/** What a guest writes into a disk is never more than bytes to its host: on a real libvirt. */
let hosts: LibvirtHosts;
let host: TestHost;
let connection: Connection;
let storage: HostStorage;

const RAW = { size: 2 ** 20, format: 'raw', secretId: null } as const;
const PATH = '/var/lib/libvirt/pool';
const placeOf = (libvirtName: string): Place => ({ pool: { name: 'pool', path: PATH, shared: false }, libvirtName });

beforeAll(async () => {
  hosts = await startLibvirtHosts(1);
  [host] = hosts.hosts as [TestHost];
  connection = await connect({ uri: host.uri });
  const agent = {
    host: { id: 'a-host' as HostId, name: host.name, uri: host.uri },
    connection: async () => connection,
    openConnection: () => connect({ uri: host.uri }),
  } as unknown as HostAgent; // what of it host-storage.ts uses
  storage = createHostStorage(agent);
  const pool = await connection.pools.define(poolXml('nc-pool', '00000000-0000-4000-8000-000000000001', PATH));
  await connection.pools.build(pool);
  await connection.pools.start(pool);
});
afterAll(async () => {
  await connection?.close();
  await hosts?.stop();
});

/** A guest's disk begins with a qcow2 header that stands on a file of the host, and libvirt has looked at the pool since. */
async function withHeader(name: string, ...more: string[]): Promise<Place> {
  const place = placeOf(name);
  await storage.make(place, RAW);
  await host.exec('sh', '-c', 'echo top-secret > /var/lib/libvirt/secret && truncate -s 8M /var/lib/libvirt/secret');
  const header = join((await testRun()).makeDirectory('header'), 'header');
  execFileSync('qemu-img', ['create', '-q', '-u', '-f', 'qcow2', ...more, header, '1M']);
  await host.exec('dd', `if=${header}`, `of=${PATH}/${name}`, 'conv=notrunc', 'status=none');
  await connection.pools.refresh(await connection.pools.lookupByName('nc-pool'));
  expect(await host.virsh('vol-dumpxml', '--pool', 'nc-pool', name)).toContain("<format type='qcow2'/>");
  return place;
}

it('copies nothing that a header names which a guest has written', async () => {
  const place = await withHeader('vol-1.raw', '-b', '/var/lib/libvirt/secret', '-F', 'raw');
  const copying = storage.make(placeOf('snapshot-1.raw'), RAW, { from: { ...place, format: 'raw', encrypted: false } });
  await expect(copying).rejects.toMatchObject({ code: 'INVALID_STATE' });
  expect(await host.exec('ls', PATH)).not.toContain('snapshot-1.raw');
});

it('grows nothing that such a header names', async () => {
  const place = await withHeader('vol-2.raw', '-o', 'data_file=/var/lib/libvirt/secret,data_file_raw=on');
  await expect(storage.grow({ ...place, format: 'raw', encrypted: false }, 2 ** 21)).rejects.toMatchObject({ code: 'INVALID_STATE' });
  expect((await host.exec('stat', '-c', '%s', '/var/lib/libvirt/secret')).trim()).toBe(String(8 * 2 ** 20));
});

it('copies and grows what begins with anything else', async () => {
  const place = placeOf('vol-3.raw');
  await storage.make(place, RAW);
  await host.exec('sh', '-c', `printf 'boot' | dd of=${PATH}/vol-3.raw conv=notrunc status=none`);
  await storage.make(placeOf('snapshot-3.raw'), RAW, { from: { ...place, format: 'raw', encrypted: false } });
  expect(await host.exec('head', '-c', '4', `${PATH}/snapshot-3.raw`)).toBe('boot');
  await storage.grow({ ...place, format: 'raw', encrypted: false }, 2 ** 21);
  expect(await storage.measure(place)).toMatchObject({ capacity: 2 ** 21 });
});
