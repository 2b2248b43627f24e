import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import type { HostAgent } from '@novacron/agent';
import type { HostId } from '@novacron/core';
import { connect, type Connection } from '@novacron/libvirt';
import { eventually, startLibvirtHosts, testRun, type LibvirtHosts, type TestHost } from '@novacron/testkit';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createHostStorage, type HostStorage, type Place } from './host-storage.ts';
import { poolXml } from './volume-xml.ts';

/** On a real libvirt. What a guest writes into a disk is never more than bytes to its host. */
let hosts: LibvirtHosts;
let host: TestHost;
let connection: Connection;
let storage: HostStorage;

const RAW = { size: 2 ** 20, format: 'raw', secretId: null } as const;
const PATH = '/var/lib/libvirt/pool';
const placeOf = (libvirtName: string, shared = false): Place => ({ pool: { name: 'pool', path: PATH, shared }, libvirtName });

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

/** A copy that takes its time: `gone` is when nobody waits for it any more. */
async function copyUnderWay(name: string): Promise<{ gone: AbortController; copied: Promise<void> }> {
  const source = placeOf('vol-large.raw');
  await storage.make(source, { ...RAW, size: 2 ** 29 });
  await host.exec('dd', 'if=/dev/urandom', `of=${PATH}/vol-large.raw`, 'bs=1M', 'count=384', 'conv=notrunc', 'status=none');
  const gone = new AbortController();
  const copied = storage.make(placeOf(name), { ...RAW, size: 2 ** 29, format: 'qcow2' }, { from: { ...source, format: 'raw', encrypted: false }, signal: gone.signal });
  copied.catch(() => undefined); // awaited later
  await eventually('the copy to be under way', async () => (await host.exec('ls', PATH)).includes(name), { intervalMs: 20, timeoutMs: 20_000 });
  return { gone, copied };
}

it('makes a volume in a shared pool while another is being copied in it, and waits to tell that one is not there', async () => {
  const { copied } = await copyUnderWay('vol-slow.qcow2');
  let isCopied = false;
  void copied.then(() => (isCopied = true));
  await storage.make(placeOf('vol-beside.qcow2', true), { ...RAW, format: 'qcow2' });
  expect(isCopied).toBe(false);
  expect(await storage.find(connection, placeOf('vol-never.qcow2', true))).toBeNull();
  await copied;
  await Promise.all(['vol-large.raw', 'vol-slow.qcow2', 'vol-beside.qcow2'].map((name) => storage.remove(placeOf(name))));
});

it('makes a volume anew although libvirt still works at the one before, whose agent is gone', async () => {
  const { gone, copied } = await copyUnderWay('vol-copy.qcow2');
  gone.abort();
  await expect(copied).rejects.toThrow('connection');
  await storage.make(placeOf('vol-copy.qcow2'), { ...RAW, format: 'qcow2' });
  expect(await storage.measure(placeOf('vol-copy.qcow2'))).toMatchObject({ capacity: 2 ** 20 });
  await Promise.all(['vol-large.raw', 'vol-copy.qcow2'].map((name) => storage.remove(placeOf(name))));
});
