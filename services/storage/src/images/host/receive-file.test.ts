import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fromLibvirt, type HostAgent } from '@novacron/agent';
import type { HostId } from '@novacron/core';
import { connect, type Connection } from '@novacron/libvirt';
import { startImageServer, startLibvirtHosts, testRun, type ImageServer, type LibvirtHosts, type TestHost } from '@novacron/testkit';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createHostStorage, type HostStorage, type Place } from '../../host/host-storage.ts';
import { poolXml } from '../../host/volume-xml.ts';
import { addressPolicy } from '../fetch/addresses.ts';
import { urlSource } from '../import-source.ts';
import { probeImage, PROBE_BYTES } from '../probe/probe.ts';
import { receiveFile, type ExpectedFile } from './receive-file.ts';

/** Files go through a real libvirt into a pool of its own, from a web server. */
let hosts: LibvirtHosts;
let host: TestHost;
let connection: Connection;
let storage: HostStorage;
let server: ImageServer;
let directory: string;
const POOL = 'images';
/** Too small for much. */
const SMALL = 'small';

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
  await host.exec('mkdir', '-p', '/var/lib/libvirt/small');
  await host.exec('mount', '-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', '/var/lib/libvirt/small');
  for (const [name, uuid] of [[POOL, '00000000-0000-4000-8000-000000000001'], [SMALL, '00000000-0000-4000-8000-000000000002']] as const) {
    const pool = await connection.pools.define(poolXml(`nc-${name}`, uuid, `/var/lib/libvirt/${name}`));
    await connection.pools.build(pool);
    await connection.pools.start(pool);
  }
  directory = (await testRun()).makeDirectory('files');
  const files = ['disk.qcow2', 'disk.raw', 'sparse.raw'].map((name) => join(directory, name));
  const [qcow2 = '', raw = '', sparse = ''] = files;
  writeFileSync(raw, randomBytes(3 * 2 ** 20));
  execFileSync('qemu-img', ['convert', '-O', 'qcow2', raw, qcow2]);
  writeFileSync(sparse, 'boot');
  truncateSync(sparse, 64 * 2 ** 20);
  server = await startImageServer({ '/disk.qcow2': qcow2, '/disk.raw': raw, '/sparse.raw': sparse });
});
afterAll(async () => {
  await server?.stop();
  await connection?.close();
  await hosts?.stop();
});

const placeOf = (name: string, pool = POOL): Place => ({ pool: { name: pool, path: `/var/lib/libvirt/${pool}`, shared: false }, libvirtName: name });
const shaOf = (path: string): string => createHash('sha256').update(readFileSync(path)).digest('hex');
const running = new AbortController().signal;

/** As the import does it: looks first, then fetches. */
async function fetchInto(place: Place, file: string, change: Partial<ExpectedFile> = {}, signal = running): Promise<string> {
  const source = urlSource(`${server.url}/${file}`, { policy: addressPolicy(['127.0.0.0/8']), signal, retryMs: 1, stallMs: 2_000 });
  const { head, size: fileSize } = await source.head(PROBE_BYTES);
  const expected = { ...probeImage(head, fileSize, null), fileSize, sha256: null, ...change };
  return receiveFile(storage, place, expected, signal, (sink) => source.copyTo(sink, () => {}));
}

it.each(['disk.qcow2', 'disk.raw', 'sparse.raw'])('brings %s byte for byte, and libvirt sees what it is', async (file) => {
  const place = placeOf(`whole-${file}`);
  const path = join(directory, file);
  expect(await fetchInto(place, file, { sha256: shaOf(path) })).toBe(shaOf(path));
  expect((await host.exec('sha256sum', `${place.pool.path}/${place.libvirtName}`)).split(' ')[0]).toBe(shaOf(path));
  const xml = await host.virsh('vol-dumpxml', '--pool', 'nc-images', place.libvirtName);
  expect(xml).toContain(`<format type='${file.endsWith('qcow2') ? 'qcow2' : 'raw'}'/>`);
});

it('takes no room for zeros', async () => {
  const place = placeOf('zeros');
  await fetchInto(place, 'sparse.raw');
  expect(Number((await host.exec('du', '-k', `${place.pool.path}/zeros`)).split('\t')[0])).toBeLessThan(1024);
});

it('lands as something that clones can stand on', async () => {
  const place = placeOf('base');
  await fetchInto(place, 'disk.qcow2');
  await storage.make(placeOf('clone'), { size: 8 * 2 ** 20, format: 'qcow2', secretId: null, backing: { path: `${place.pool.path}/base`, format: 'qcow2' } });
  await host.exec('qemu-img', 'convert', '-O', 'raw', `${place.pool.path}/clone`, '/var/lib/libvirt/flat');
  const length = statSync(join(directory, 'disk.raw')).size;
  const start = await host.exec('sh', '-c', `head -c ${length} /var/lib/libvirt/flat | sha256sum`);
  expect(start.split(' ')[0]).toBe(shaOf(join(directory, 'disk.raw')));
});

it('begins anew over what an earlier try left', async () => {
  const place = placeOf('again');
  await storage.make(place, { size: 2 ** 30, format: 'raw', secretId: null });
  server.misbehave({ cutAfterBytes: 1_000_000, changeEtag: true, times: 2 });
  expect(await fetchInto(place, 'disk.qcow2')).toBe(shaOf(join(directory, 'disk.qcow2')));
});

it('refuses another content than was promised', async () => {
  await expect(fetchInto(placeOf('sha'), 'disk.raw', { sha256: '0'.repeat(64) })).rejects.toMatchObject({ code: 'BAD_USER_INPUT', field: 'sha256' });
  await expect(fetchInto(placeOf('length'), 'disk.raw', { fileSize: 1024 })).rejects.toMatchObject({ code: 'BAD_USER_INPUT', field: 'url' });
  await expect(fetchInto(placeOf('format'), 'disk.raw', { format: 'qcow2' })).rejects.toMatchObject({ code: 'BAD_USER_INPUT', field: 'url' });
  await expect(fetchInto(placeOf('size'), 'disk.qcow2', { size: 512 })).rejects.toMatchObject({ code: 'BAD_USER_INPUT', field: 'url' });
});

it('says so when the pool is full in the middle', async () => {
  const place = placeOf('large', SMALL);
  await expect(fetchInto(place, 'disk.raw')).rejects.toMatchObject({ code: 'NO_CAPACITY', field: 'poolId' });
  await storage.remove(place);
  expect(await host.exec('ls', '/var/lib/libvirt/small')).toBe('');
});

it('ends at once when it is told to', async () => {
  server.misbehave({ stallAfterBytes: 1_000_000 });
  const stop = new AbortController();
  const fetching = fetchInto(placeOf('stopped'), 'disk.raw', {}, stop.signal);
  setImmediate(() => stop.abort(new Error('cancelled')));
  await expect(fetching).rejects.toThrow('cancelled');
  server.misbehave();
});

it('says that the hypervisor is away when it goes in the middle', async () => {
  server.misbehave({ stallAfterBytes: 1_000_000, times: 2 });
  const source = urlSource(`${server.url}/disk.raw`, { policy: addressPolicy(['127.0.0.0/8']), signal: running, retryMs: 1, stallMs: 1_000 });
  const expected = { format: 'raw', size: 3 * 2 ** 20, fileSize: 3 * 2 ** 20, sha256: null } as const;
  let killed: Promise<void> | null = null;
  const receiving = receiveFile(storage, placeOf('lost'), expected, running, (sink) =>
    source.copyTo(sink, (bytes) => {
      if (bytes > 500_000) killed ??= host.killDaemon('SIGKILL');
    }),
  );
  const failure = await receiving.then(
    () => null,
    (error: unknown) => fromLibvirt(error), // as the worker does: the connection's error or its stream's, whichever comes first
  );
  expect(failure).toMatchObject({ code: 'UNAVAILABLE' });
  await killed;
});
