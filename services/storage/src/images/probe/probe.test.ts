import { execFileSync } from 'node:child_process';
import { closeSync, openSync, readFileSync, readSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { testRun } from '@novacron/testkit';
import { beforeAll, describe, expect, it } from 'vitest';
import { probeImage, PROBE_BYTES } from './probe.ts';
import type { ImageFormat } from './probed.ts';

let directory: string;
beforeAll(async () => {
  directory = (await testRun()).makeDirectory('probe');
});

const headOf = (path: string): Buffer => {
  const file = openSync(path, 'r');
  const head = Buffer.alloc(PROBE_BYTES);
  const length = readSync(file, head);
  closeSync(file);
  return head.subarray(0, length);
};
const probeFile = (path: string, asked: ImageFormat | null = null) => probeImage(headOf(path), statSync(path).size, asked);
const create = (name: string, ...args: string[]): string => {
  const path = join(directory, name);
  execFileSync('qemu-img', ['create', '-q', ...args.map((arg) => (arg === '@' ? path : arg))], { cwd: directory });
  return path;
};
/** What QEMU says of it: the oracle. */
const qemuInfo = (path: string, format: string): { format: string; 'virtual-size': number } =>
  JSON.parse(execFileSync('qemu-img', ['info', '-f', format, '--output', 'json', path], { encoding: 'utf8' })) as { format: string; 'virtual-size': number };
const refused = (message: RegExp, field = 'url') => expect.objectContaining({ code: 'BAD_USER_INPUT', field, message: expect.stringMatching(message) as string });

describe('an image that qemu-img made', () => {
  it.each<[string, string[]]>([
    ['qcow2', ['-f', 'qcow2', '@', '1G']],
    ['qcow2 of version 2', ['-f', 'qcow2', '-o', 'compat=0.10', '@', '100M']],
    ['qcow2 with small clusters', ['-f', 'qcow2', '-o', 'cluster_size=512', '@', '16M']],
    ['qcow2 with large clusters', ['-f', 'qcow2', '-o', 'cluster_size=2M', '@', '10T']],
    ['qcow2 with extended L2 entries', ['-f', 'qcow2', '-o', 'extended_l2=on,cluster_size=128k', '@', '3G']],
    ['qcow2 for zstd', ['-f', 'qcow2', '-o', 'compression_type=zstd', '@', '1G']],
    ['qcow2 with lazy reference counts', ['-f', 'qcow2', '-o', 'lazy_refcounts=on', '@', '1G']],
    ['qcow2 with reference counts of one bit', ['-f', 'qcow2', '-o', 'refcount_bits=1', '@', '1G']],
    ['qcow2 of one sector', ['-f', 'qcow2', '@', '512']],
    ['raw', ['-f', 'raw', '@', '3M']],
  ])('%s is what qemu-img says', (name, args) => {
    const path = create(name, ...args);
    const probed = probeFile(path);
    const info = qemuInfo(path, name.startsWith('qcow2') ? 'qcow2' : 'raw');
    expect(probed).toEqual({ format: info.format, size: info['virtual-size'] });
    expect(probeFile(path, probed.format)).toEqual(probed);
  });

  it('qcow2 with a snapshot is what qemu-img says', () => {
    const path = create('snapshots.qcow2', '-f', 'qcow2', '@', '64M');
    execFileSync('qemu-img', ['snapshot', '-c', 'one', path]);
    expect(probeFile(path)).toEqual({ format: 'qcow2', size: 64 * 2 ** 20 });
  });

  it.each<[string, string[], RegExp]>([
    ['a backing file', ['-f', 'qcow2', '-u', '-b', '/etc/shadow', '-F', 'raw', '@', '1M'], /backing file/],
    ['a backing file that is an address', ['-f', 'qcow2', '-u', '-b', 'json:{"driver":"nbd"}', '-F', 'raw', '@', '1M'], /backing file/],
    ['an external data file', ['-f', 'qcow2', '-o', 'data_file=outside.raw', '@', '1M'], /keeps its data in a file outside/],
    ['a LUKS header', ['-f', 'qcow2', '--object', 'secret,id=s,data=x', '-o', 'encrypt.format=aes,encrypt.key-secret=s', '@', '1M'], /encrypted/],
    ['the format vmdk', ['-f', 'vmdk', '@', '1M'], /VMDK/],
    ['the format vdi', ['-f', 'vdi', '@', '1M'], /VDI/],
    ['the format vpc', ['-f', 'vpc', '@', '1M'], /VHD/],
    ['the format vhdx', ['-f', 'vhdx', '@', '1M'], /VHDX/],
    ['the format qed', ['-f', 'qed', '@', '1M'], /QED/],
    ['the format parallels', ['-f', 'parallels', '@', '1M'], /Parallels/],
  ])('with %s is refused', (name, args, message) => {
    const path = create(name.replaceAll(' ', '-'), ...args);
    expect(() => probeFile(path)).toThrow(refused(message));
    expect(() => probeFile(path, 'raw')).toThrow(refused(message));
  });

  it('is refused when it is not what was asked for', () => {
    expect(() => probeFile(create('other.qcow2', '-f', 'qcow2', '@', '1M'), 'raw')).toThrow(refused(/no raw image/, 'format'));
    expect(() => probeFile(create('other.raw', '-f', 'raw', '@', '1M'), 'qcow2')).toThrow(refused(/no qcow2 image/, 'format'));
  });

  it('is refused when it is cut off before its tables', () => {
    const path = create('cut.qcow2', '-f', 'qcow2', '@', '1G');
    truncateSync(path, 100_000);
    expect(() => probeFile(path)).toThrow(refused(/cut off/));
    truncateSync(path, 40);
    expect(() => probeFile(path)).toThrow(refused(/ends within its header/));
  });
});

describe('a qcow2 header', () => {
  /** A good image with some bytes of its header changed. */
  const changed = (change: (head: Buffer) => void): Buffer => {
    const file = readFileSync(create('good.qcow2', '-f', 'qcow2', '@', '1G'));
    change(file);
    return file;
  };
  it.each<[string, (head: Buffer) => unknown, RegExp]>([
    ['version 1', (head) => head.writeUInt32BE(1, 4), /version 1/],
    ['version 4', (head) => head.writeUInt32BE(4, 4), /version 4/],
    ['a backing name without an offset', (head) => head.writeUInt32BE(9, 16), /backing file/],
    ['a backing offset without a name', (head) => head.writeBigUInt64BE(512n, 8), /backing file/],
    ['clusters of 256 bytes', (head) => head.writeUInt32BE(8, 20), /clusters/],
    ['clusters of 4 GiB', (head) => head.writeUInt32BE(32, 20), /clusters/],
    ['no size', (head) => head.writeBigUInt64BE(0n, 24), /no size/],
    ['an absurd size', (head) => head.writeBigUInt64BE(2n ** 63n, 24), /no size/],
    ['AES', (head) => head.writeUInt32BE(1, 32), /encrypted/],
    ['an L1 table that is too small', (head) => head.writeUInt32BE(1, 36), /does not fit/],
    ['an L1 table that is too large', (head) => head.writeUInt32BE(2 ** 31, 36), /does not fit/],
    ['an L1 table outside', (head) => head.writeBigUInt64BE(2n ** 40n, 40), /outside/],
    ['an L1 table between clusters', (head) => head.writeBigUInt64BE(65_537n, 40), /outside/],
    ['reference counts outside', (head) => head.writeBigUInt64BE(2n ** 40n, 48), /outside/],
    ['no reference counts', (head) => head.writeUInt32BE(0, 56), /reference counts/],
    ['too many snapshots', (head) => head.writeUInt32BE(100_000, 60), /snapshots/],
    ['the mark of an external data file', (head) => head.writeBigUInt64BE(4n, 72), /outside/],
    ['the mark of corruption', (head) => head.writeBigUInt64BE(2n, 72), /corrupt/],
    ['an unknown feature', (head) => head.writeBigUInt64BE(2n ** 40n, 72), /not known/],
    ['reference counts of 2^32 bits', (head) => head.writeUInt32BE(32, 96), /odd width/],
    ['a short header', (head) => head.writeUInt32BE(80, 100), /odd length/],
    ['an extension with the name of a data file', (head) => head.writeUInt32BE(0x44415441, 112), /outside/],
    ['an extension with the format of a backing file', (head) => head.writeUInt32BE(0xe2792aca, 112), /backing file/],
    ['an extension with encryption', (head) => head.writeUInt32BE(0x0537be77, 112), /encrypted/],
    ['an extension without end', (head) => head.writeUInt32BE(2 ** 31, 116), /does not end/],
  ])('with %s is refused', (_what, change, message) => {
    const file = changed(change);
    expect(() => probeImage(file.subarray(0, PROBE_BYTES), file.length, null)).toThrow(refused(message));
  });

  it('may be dirty: QEMU repairs that', () => {
    const file = changed((head) => head.writeBigUInt64BE(1n, 72));
    expect(probeImage(file.subarray(0, PROBE_BYTES), file.length, 'qcow2').format).toBe('qcow2');
  });
});

describe('a file that is no image', () => {
  const sector = (start: string, at = 0): Buffer => {
    const file = Buffer.alloc(65_536);
    file.write(start, at, 'latin1');
    return file;
  };
  it.each<[string, Buffer, RegExp]>([
    ['a web page', Buffer.from(`<!DOCTYPE html>\n${'<p>Not found.</p>\n'.repeat(64)}`.padEnd(2048)), /text/],
    ['a short text', Buffer.from('404\n'), /text/],
    ['an odd number of bytes', Buffer.alloc(1000), /sectors/],
    ['nothing', Buffer.alloc(0), /empty/],
    ['gzip', sector('\x1f\x8b\x08'), /gzip/],
    ['xz', sector('\xfd7zXZ\0'), /xz/],
    ['zip', sector('PK\x03\x04'), /ZIP/],
    ['tar', sector('ustar', 257), /tar/],
    ['a CD', sector('CD001', 32_769), /ISO 9660/],
    ['LUKS', sector('LUKS\xba\xbe'), /LUKS/],
  ])('%s is refused', (_what, file, message) => {
    for (const asked of ['raw', null] as const) expect(() => probeImage(file, file.length, asked)).toThrow(refused(message));
  });

  it('is seen without reading more than its beginning', () => {
    const path = join(directory, 'large.raw');
    writeFileSync(path, '');
    truncateSync(path, 2 ** 40);
    expect(probeFile(path)).toEqual({ format: 'raw', size: 2 ** 40 });
  });
});
