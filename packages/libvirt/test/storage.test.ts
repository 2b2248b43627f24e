import { createHash, randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { eventually } from '@novacron/testkit';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { Connection, ErrorCodeName, PoolEvent, PoolRef, VolumeRef } from '../src/index.ts';
import { connect, ERROR_CODE, openLink, START_POOL, VOLUME_INFO } from '../src/index.ts';
import { failure } from './fake-daemon.ts';
import { useHost } from './private-host.ts';

const MiB = 1 << 20;

const host = useHost();

async function open(): Promise<Connection> {
  const connection = await connect({ uri: 'qemu:///system', socketPath: host().socketPath });
  onTestFinished(() => connection.close());
  return connection;
}

/** A started pool in a directory of the host; gone with the test. */
async function startPool(connection: Connection, name: string, dir = `/var/lib/libvirt/${name}`): Promise<PoolRef> {
  const pool = await connection.pools.define(`<pool type='dir'><name>${name}</name><target><path>${dir}</path></target></pool>`);
  await connection.pools.build(pool);
  await connection.pools.start(pool);
  onTestFinished(async () => {
    await connection.pools.destroy(pool);
    await connection.pools.undefine(pool);
  }, 10_000);
  return pool;
}

const volumeXml = (name: string, capacity: number, format = 'raw') =>
  `<volume><name>${name}</name><capacity>${capacity}</capacity><allocation>0</allocation><target><format type='${format}'/></target></volume>`;

const is = (name: ErrorCodeName) => expect.objectContaining({ kind: 'libvirt', code: ERROR_CODE[name] });

describe('storage pools', () => {
  it('live as virsh sees them', async () => {
    const { pools } = await open();
    const xml = "<pool type='dir'><name>life</name><target><path>/var/lib/libvirt/life</path></target></pool>";
    const pool = await pools.define(xml);
    expect(await pools.isActive(pool)).toBe(false);
    expect(await pools.info(pool)).toEqual({ state: 'inactive', capacity: 0, allocation: 0, available: 0 });
    await pools.start(pool, START_POOL.WITH_BUILD);
    expect(await pools.isActive(pool)).toBe(true);
    expect(await failure(pools.start(pool))).toEqual(is('OPERATION_INVALID'));
    const { state, capacity, allocation, available } = await pools.info(pool);
    expect(state).toBe('running');
    expect(capacity).toBe(allocation + available);
    expect(await host().virsh('pool-info', '--bytes', 'life')).toContain(`Capacity:       ${capacity}`);
    await pools.setAutostart(pool, true);
    expect(await host().virsh('pool-info', 'life')).toMatch(/Autostart: +yes/);
    expect(await pools.lookupByName('life')).toEqual(pool);
    expect(await pools.lookupByUuid(pool.uuid)).toEqual(pool);
    expect((await pools.xml(pool)).trim()).toBe(await host().virsh('pool-dumpxml', 'life'));
    expect(await pools.list()).toEqual([pool]);
    expect(await pools.list({ active: false })).toEqual([]);
    expect(await pools.list({ active: true })).toEqual([pool]);
    await pools.destroy(pool);
    await pools.undefine(pool);
    expect(await failure(pools.lookupByName('life'))).toEqual(is('NO_STORAGE_POOL'));
  });

  it('tell what happens to them, and through a link too', async () => {
    const connection = await open();
    const seen: string[] = [];
    const note = ({ pool, event }: PoolEvent) => void seen.push(`${pool.name} ${event}`);
    const subscription = await connection.onPoolEvent(note);
    const linked: string[] = [];
    const link = openLink({
      uri: 'qemu:///system',
      socketPath: host().socketPath,
      listeners: { pool: ({ event }) => linked.push(event) },
    });
    onTestFinished(() => link.close());
    await link.connection();
    const pool = await connection.pools.define("<pool type='dir'><name>told</name><target><path>/tmp</path></target></pool>");
    await connection.pools.start(pool);
    await connection.pools.refresh(pool);
    await connection.pools.destroy(pool);
    await eventually('the stop', () => seen.at(-1) === 'told stopped');
    await subscription.close();
    await connection.pools.undefine(pool);
    await eventually('the end', () => linked.at(-1) === 'undefined');
    expect(linked).toEqual(['defined', 'started', 'refreshed', 'stopped', 'undefined']);
    expect(seen).toEqual(['told defined', 'told started', 'told refreshed', 'told stopped']);
  });
});

describe('volumes', () => {
  it('are made, copied, resized and removed', async () => {
    const { pools, volumes, ...connection } = await withPool('volumes');
    const { pool } = connection;
    const volume = await volumes.create(pool, volumeXml('a', MiB));
    expect(volume).toEqual({ pool: 'volumes', name: 'a', key: '/var/lib/libvirt/volumes/a' });
    expect(await failure(volumes.create(pool, volumeXml('a', MiB)))).toEqual(is('STORAGE_VOL_EXIST'));
    expect(await volumes.path(volume)).toBe('/var/lib/libvirt/volumes/a');
    expect(await volumes.lookupByName(pool, 'a')).toEqual(volume);
    expect(await volumes.info(volume)).toMatchObject({ type: 'file', capacity: MiB });
    await volumes.resize(volume, MiB, { delta: true });
    expect(await volumes.info(volume, VOLUME_INFO.GET_PHYSICAL)).toEqual({ type: 'file', capacity: 2 * MiB, allocation: 2 * MiB });
    await volumes.resize(volume, MiB, { shrink: true });
    await volumes.resize(volume, 3 * MiB, { allocate: true });
    expect(await volumes.info(volume)).toEqual({ type: 'file', capacity: 3 * MiB, allocation: 3 * MiB });
    await volumes.wipe(volume);

    const copy = await volumes.createFrom(pool, volumeXml('b', 3 * MiB, 'qcow2'), volume, 0, { deadlineMs: Infinity });
    expect(await volumes.xml(copy)).toContain("<format type='qcow2'/>");
    expect((await volumes.list(pool)).map(({ name }) => name).toSorted()).toEqual(['a', 'b']);
    await host().exec('touch', '/var/lib/libvirt/volumes/c');
    await pools.refresh(pool);
    expect(await volumes.list(pool)).toHaveLength(3);
    for (const each of await volumes.list(pool)) await volumes.delete(each);
    expect(await failure(volumes.info(volume))).toEqual(is('NO_STORAGE_VOL'));
    expect(await volumes.list(pool)).toEqual([]);
  });

  it('come back as they were uploaded, whole and in part', async () => {
    const { volumes, volume } = await withVolume('whole', 8 * MiB);
    const content = randomBytes(8 * MiB);
    await pipeline(Readable.from(slices(content, 100_000)), await volumes.upload(volume, { length: content.length }));
    expect((await buffer(await volumes.download(volume))).equals(content)).toBe(true);

    const part = randomBytes(1_000);
    await pipeline(Readable.from([part]), await volumes.upload(volume, { offset: 12_345, length: part.length }));
    part.copy(content, 12_345);
    expect((await buffer(await volumes.download(volume, { offset: 12_000, length: 2_000 }))).equals(content.subarray(12_000, 14_000))).toBe(true);
    expect(digest(await buffer(await volumes.download(volume)))).toBe(digest(content));
  });

  it('keep their holes', async () => {
    const { volumes, volume } = await withVolume('sparse', 64 * MiB);
    const content = Buffer.alloc(64 * MiB);
    for (const at of [0, 3 * MiB + 17, 40 * MiB]) randomBytes(10_000).copy(content, at);
    await pipeline(Readable.from(slices(content, 65_537)), await volumes.upload(volume, { sparse: true }));
    const { capacity, allocation } = await volumes.info(volume);
    expect(capacity).toBe(content.length);
    expect(allocation).toBeLessThan(MiB);
    expect((await buffer(await volumes.download(volume, { sparse: true }))).equals(content)).toBe(true);
    expect((await buffer(await volumes.download(volume))).equals(content)).toBe(true);
  });

  it('refuse more than was promised, and the pipeline knows', async () => {
    const { connection, volumes, volume } = await withVolume('full', MiB);
    const endless = Readable.from((function* () { for (;;) yield Buffer.alloc(65_536, 1); })());
    expect(await failure(pipeline(endless, await volumes.upload(volume, { length: MiB })))).toEqual(is('SYSTEM_ERROR'));
    const oneTooMany = Readable.from([Buffer.alloc(MiB, 1), Buffer.alloc(1, 1)]);
    expect(await failure(pipeline(oneTooMany, await volumes.upload(volume, { length: MiB })))).toEqual(is('SYSTEM_ERROR'));
    expect((await volumes.info(volume)).capacity).toBe(MiB);
    expect(await connection.hostname()).toBe(host().name); // the connection goes on
  });

  it('on a full disk fail their upload', async () => {
    const dir = '/var/lib/libvirt/tiny';
    await host().exec('mkdir', dir);
    await host().exec('mount', '-t', 'tmpfs', '-o', 'size=1m', 'tiny', dir);
    const { volumes, volume } = await withVolume('tiny', 16 * MiB);
    const upload = await volumes.upload(volume);
    expect(await failure(pipeline(Readable.from(slices(randomBytes(16 * MiB), MiB)), upload))).toEqual(is('SYSTEM_ERROR'));
  });

  it('whose transfer is aborted leave the connection usable', async () => {
    const { connection, volumes, volume } = await withVolume('aborted', 32 * MiB);
    const upload = await volumes.upload(volume);
    upload.write(Buffer.alloc(MiB));
    upload.destroy();
    const download = await volumes.download(volume);
    for await (const _chunk of download) break;
    expect(download.destroyed).toBe(true);
    expect(await connection.hostname()).toBe(host().name);
    expect(await failure(volumes.upload({ ...volume, key: '/nowhere', name: 'nowhere' }))).toEqual(is('NO_STORAGE_VOL'));
  });

  it('take 200 MiB and give them back', async () => {
    const { volumes, volume } = await withVolume('large', 200 * MiB);
    const chunk = randomBytes(MiB);
    await pipeline(Readable.from(Array(200).fill(chunk)), await volumes.upload(volume, { length: 200 * MiB }));
    const hash = createHash('sha256');
    await pipeline(await volumes.download(volume), hash);
    const expected = createHash('sha256');
    for (let i = 0; i < 200; i++) expected.update(chunk);
    expect(hash.read()).toEqual(expected.digest());
  });
});

async function withPool(name: string) {
  const connection = await open();
  return { connection, pools: connection.pools, volumes: connection.volumes, pool: await startPool(connection, name) };
}

async function withVolume(name: string, capacity: number) {
  const made = await withPool(name);
  const volume: VolumeRef = await made.volumes.create(made.pool, volumeXml('volume', capacity));
  onTestFinished(() => made.volumes.delete(volume));
  return { ...made, volume };
}

function* slices(whole: Buffer, length: number): Generator<Buffer> {
  for (let start = 0; start < whole.length; start += length) yield whole.subarray(start, start + length);
}

const digest = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');
